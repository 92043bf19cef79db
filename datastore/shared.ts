/** Shares a reflector between readers, so that a program lists and watches a kind once. */

import type { Log } from '../lib/log.ts';
import type { KubernetesClient } from './kubernetes/client.ts';
import { Reflector, type ReflectorEvents } from './reflector.ts';
import type { ResourceDefinition } from './schema/resource.ts';

export class Shared<D extends ResourceDefinition> {
  readonly reflector: Reflector<D>;
  readonly #readers: ReflectorEvents<D>[] = [];

  constructor(definition: D, modules: { client: KubernetesClient; log: Log }) {
    const tell = (task: (reader: ReflectorEvents<D>) => void) => {
      for (const reader of this.#readers) {
        // A reader that throws does not affect the others.
        try {
          task(reader);
        } catch (error) {
          modules.log.error({ err: error, watch: definition.plural }, 'change handler failed');
        }
      }
    };
    const events: ReflectorEvents<D> = {
      changed: (key, object) => tell((reader) => reader.changed(key, object)),
      synced: () => tell((reader) => reader.synced()),
      troubled: () => tell((reader) => reader.troubled?.()),
    };
    this.reflector = new Reflector({ definition }, { ...modules, events });
  }

  /** Adds a reader. Call it before `reflector.run`, because earlier changes are not repeated. */
  add(reader: ReflectorEvents<D>): void {
    this.#readers.push(reader);
  }
}
