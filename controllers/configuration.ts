/** Follows KubeControllersConfiguration `default`; creates it when missing (Calico, kube-controllers runconfig.go). */

import { createMissing } from '../datastore/create-missing.ts';
import { Informer, type InformerTime } from '../datastore/informer.ts';
import type { KubernetesClient } from '../datastore/kubernetes/client.ts';
import { kubeControllersConfigurationKind } from '../datastore/schema/kube-controllers.ts';
import { CALICO_GROUP } from '../datastore/schema/resource.ts';
import type { Found } from '../datastore/tolerant.ts';
import type { Watch } from '../datastore/watch-metrics.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { DEFAULT_SPEC } from './settings.ts';

const NAME = 'default';
const RETRY_MS = 10_000;

export class ControllersConfiguration {
  readonly #modules: { client: KubernetesClient; clock: InformerTime; log: Log; changed: () => void };
  readonly #informer: Informer<typeof kubeControllersConfigurationKind>;

  constructor(modules: { client: KubernetesClient; clock: InformerTime; log: Log; changed: () => void }) {
    this.#modules = modules;
    const { client, clock, log, changed } = modules;
    const events = { changed, troubled: changed, synced: () => void this.#make() };
    this.#informer = new Informer(
      { definition: kubeControllersConfigurationKind },
      { client, time: clock, log, events },
    );
  }

  /** The watch, for metrics. */
  get watch(): Watch {
    return this.#informer;
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#informer.run(signal);
  }

  /** Returns the current object. */
  read = (): Found<typeof kubeControllersConfigurationKind> => {
    const problem = this.#informer.problems.get(NAME)?.problem;
    const object = this.#informer.objects.get(NAME);
    return problem ? { object, unreadable: problem.reason } : { object };
  };

  /** Creates the object when it is missing. Never rejects. */
  async #make(): Promise<void> {
    const { client, clock, log } = this.#modules;
    const { object, unreadable } = this.read();
    if (object || unreadable) return;
    const made = {
      apiVersion: `${CALICO_GROUP}/v3`,
      kind: 'KubeControllersConfiguration',
      metadata: { name: NAME },
      spec: DEFAULT_SPEC,
    };
    try {
      await createMissing(client, kubeControllersConfigurationKind, made);
    } catch (error) {
      log.warn({ reason: messageOf(error) }, 'KubeControllersConfiguration default not created: retrying');
      clock.after(RETRY_MS, () => void this.#make());
    }
  }
}
