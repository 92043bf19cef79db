/** Shares an informer between readers, so that a program lists and watches a kind once. */

import type { Log } from '../lib/log.ts';
import type { ListWatch } from './datastore.ts';
import { Informer, type InformerEvents, type InformerTime } from './informer.ts';
import type { ResourceDefinition } from './schema/resource.ts';

export class Shared<D extends ResourceDefinition> {
  readonly informer: Informer<D>;
  readonly #readers: InformerEvents<D>[] = [];

  constructor(definition: D, modules: { client: ListWatch; time: InformerTime; log: Log }) {
    const notify = (task: (reader: InformerEvents<D>) => void) => {
      for (const reader of this.#readers) {
        // A reader that throws does not affect the others.
        try {
          task(reader);
        } catch (error) {
          modules.log.error({ err: error, watch: definition.plural }, 'change handler failed');
        }
      }
    };
    const events: InformerEvents<D> = {
      changed: (key, object) => notify((reader) => reader.changed(key, object)),
      synced: () => notify((reader) => reader.synced()),
      troubled: () => notify((reader) => reader.troubled?.()),
    };
    this.informer = new Informer({ definition }, { ...modules, events });
  }

  /** Adds a reader. Call it before `informer.run`, because earlier changes are not repeated. */
  add(reader: InformerEvents<D>): void {
    this.#readers.push(reader);
  }
}
