/** Counts a program's requests to the API server. The counts reveal unused and missing RBAC permissions. */
import { Counter, type Registry } from 'prom-client';
import type { RequestObserver } from './request-kind.ts';

export class RequestCounter {
  readonly #counter = new Counter({
    name: 'cali_api_requests_total',
    help: 'Responses of the API server by verb, resource and status code',
    labelNames: ['verb', 'resource', 'code'],
    registers: [],
  });

  /** For KubernetesClient. */
  readonly observe: RequestObserver = ({ verb, resource }, code) =>
    this.#counter.inc({ verb, resource, code });

  /** Adds the counter to a registry. */
  register(registry: Registry): void {
    registry.registerMetric(this.#counter);
  }
}
