/** Events about objects with faults (`kubectl describe ippool`). */

import type { UnreadableObject } from '../../datastore/informer.ts';
import type { EventRecorder } from '../../datastore/kubernetes/events.ts';
import { CALICO_GROUP } from '../../datastore/schema/resource.ts';

/** Maximum of objects with Events, so that a cluster full of faults does not cause thousands. */
const MAX_EVENTS = 50;

export class ObjectEvents {
  readonly #recorder: Pick<EventRecorder, 'ofObject'>;
  /** By object and sentence. Bounded by the number of objects. */
  readonly #written = new Set<string>();

  constructor(recorder: Pick<EventRecorder, 'ofObject'>) {
    this.#recorder = recorder;
  }

  /**
   * Sets the current faults and writes new Events. A later call retries failed writes. Excludes namespaced kinds, which
   * Kubernetes itself validates.
   */
  update(objects: readonly UnreadableObject[]): void {
    const shown = objects
      .filter(({ problem: { kind, namespace } }) => namespace === undefined && kind !== 'Node')
      .slice(0, MAX_EVENTS)
      .map((object) => ({ ...object, key: keyOf(object) }));
    const now = new Set(shown.map(({ key }) => key));
    for (const key of this.#written) if (!now.has(key)) this.#written.delete(key);
    for (const { problem, uid, key } of shown) {
      if (this.#written.has(key)) continue;
      this.#written.add(key);
      const { kind, name } = problem;
      const involved = {
        apiVersion: `${CALICO_GROUP}/v3`,
        kind,
        name,
        ...(uid === undefined ? {} : { uid }),
      };
      const text = { type: 'Warning', reason: 'CannotBeUsed', message: messageFor(problem) } as const;
      void this.#recorder.ofObject(involved, text).then((isWritten) => {
        if (!isWritten) this.#written.delete(key);
      });
    }
  }
}

function keyOf({ problem }: UnreadableObject): string {
  return `${problem.kind} ${problem.name} ${messageFor(problem)}`;
}

function messageFor({ field, reason }: UnreadableObject['problem']): string {
  return field ? `${field}: ${reason}` : reason;
}
