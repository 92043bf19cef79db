/** Servers of an agent: a local socket for calictl, HTTP for probes and Prometheus. */
import path from 'node:path';
import type { Registry } from 'prom-client';
import type { Speaker } from '../../bgp/speaker.ts';
import type { Boundary } from '../../lib/boundary.ts';
import { formatAddress, parseAddress } from '../../lib/cidr.ts';
import { exposition } from '../../lib/exposition.ts';
import { type HttpAnswer, json, type ServeRoutes, text } from '../../lib/http.ts';
import type { Log } from '../../lib/log.ts';
import { type HttpAddress, MovingServer } from '../../lib/moving-server.ts';
import { printable } from '../../lib/plain-text.ts';
import type { Clock } from '../../lib/time.ts';
import type { Settings } from '../inputs/settings.ts';
import { AGENT_SOCKET, type AgentStatus } from '../report/status.ts';
import { bgpRoutes } from '../speaker/api.ts';
import type { Explanation } from './explain.ts';

const LOOPBACK = '127.0.0.1';

export interface ServerSources {
  readonly registry: Registry;
  readonly speaker: () => Speaker | undefined;
  readonly status: () => AgentStatus;
  readonly explain: (address: string) => Promise<Explanation>;
  readonly boundary: Boundary;
  readonly serve: ServeRoutes;
  readonly clock: Clock;
  readonly log: Log;
}

export class Servers {
  readonly #socket: string;
  readonly #sources: ServerSources;
  readonly #health: MovingServer;
  readonly #metrics: MovingServer;
  readonly #exposition: () => Promise<HttpAnswer>;
  #local: { close(): unknown } | undefined;

  constructor(runDirectory: string, sources: ServerSources) {
    this.#socket = path.join(runDirectory, AGENT_SOCKET);
    this.#sources = sources;
    const { registry, status, boundary, log } = sources;
    const failed = (reason: string) => log.warn({ reason }, 'cannot serve HTTP: retrying');
    const health = () => text(200, 'ok');
    const ready = () => {
      const { notReady } = status();
      return notReady.length === 0 ? text(200, 'ready') : text(503, notReady.join('\n'));
    };
    this.#health = new MovingServer(
      { '/healthz': health, '/liveness': health, '/readyz': ready, '/readiness': ready },
      failed,
      sources,
    );
    this.#exposition = () => exposition(registry, boundary);
    this.#metrics = new MovingServer({ '/metrics': this.#exposition }, failed, sources);
  }

  async start(): Promise<void> {
    const { status, speaker, explain, clock, serve } = this.#sources;
    this.#local = await serve(
      { path: this.#socket },
      {
        '/v1/status': () => json(status()),
        '/metrics': this.#exposition,
        ...bgpRoutes(speaker, clock),
        '/v1/explain': async (query: URLSearchParams) => {
          const asked = query.get('address') ?? '';
          const address = parseAddress(asked);
          return address
            ? json(await explain(formatAddress(address)))
            : text(400, `"${printable(asked, 100)}" is not an IP address`);
        },
      },
    );
  }

  /** Applies the addresses in the settings. */
  configure({ health, metrics }: Settings): void {
    // The probes always use 127.0.0.1.
    const loopback = { host: LOOPBACK, port: health?.port ?? 0 };
    this.#health.moveTo(health ? healthAddresses(health) : [], health && loopback);
    this.#metrics.moveTo(metrics ? [metrics] : []);
  }

  async close(): Promise<void> {
    this.#local?.close();
    await Promise.all([this.#health.close(), this.#metrics.close()]);
  }
}

/** Returns the addresses for health. A wildcard includes the loopback address. */
export function healthAddresses({ host, port }: HttpAddress): HttpAddress[] {
  const isContained = ['', 'localhost', LOOPBACK].includes(host);
  if (isContained) return [{ host: LOOPBACK, port }];
  return ['0.0.0.0', '::'].includes(host)
    ? [{ host, port }]
    : [LOOPBACK, host].map((one) => ({ host: one, port }));
}
