/** Events on objects that cannot be used as they are (`kubectl describe ippool`). */
import type { EventRecorder } from '../datastore/kubernetes/events.ts';
import type { UnreadableObject } from '../datastore/reflector.ts';
import { CALICO_GROUP } from '../datastore/schema/resource.ts';

/** Events at once: a cluster in which everything is wrong is said once, not a thousand times. */
const MAX_EVENTS = 50;

export class ObjectEvents {
  readonly #recorder: Pick<EventRecorder, 'ofObject'>;
  /** By object and sentence. Bounded by the objects that there are. */
  readonly #written = new Set<string>();

  constructor(recorder: Pick<EventRecorder, 'ofObject'>) {
    this.#recorder = recorder;
  }

  /**
   * Takes what is wrong now, and writes what has not been written yet; what fails is written at a later call. Kinds
   * with a namespace are Kubernetes' own and checked there.
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
