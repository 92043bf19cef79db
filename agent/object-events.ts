/** Events on objects that cannot be used as they are (`kubectl describe ippool`). */
import type { EventRecorder } from '../datastore/kubernetes/events.ts';
import type { UnreadableObject } from '../datastore/reflector.ts';
import { CALICO_GROUP } from '../datastore/schema/resource.ts';

/** Events at once: a cluster in which everything is wrong is said once, not a thousand times. */
const MAX_EVENTS = 50;

export class ObjectEvents {
  readonly #recorder: EventRecorder;
  /** By object and sentence. Bounded by the objects that there are. */
  #written: ReadonlySet<string> = new Set();

  constructor(recorder: EventRecorder) {
    this.#recorder = recorder;
  }

  /** Takes what is wrong now; writes what is new. Kinds with a namespace are Kubernetes' own and checked there. */
  update(objects: readonly UnreadableObject[]): void {
    const now = new Set<string>();
    for (const { problem, uid } of objects.slice(0, MAX_EVENTS)) {
      const { kind, name, namespace, field, reason } = problem;
      if (namespace !== undefined || kind === 'Node') continue;
      const message = field ? `${field}: ${reason}` : reason;
      const key = `${kind} ${name} ${message}`;
      now.add(key);
      if (this.#written.has(key)) continue;
      this.#recorder.ofObject(
        { apiVersion: `${CALICO_GROUP}/v3`, kind, name, ...(uid === undefined ? {} : { uid }) },
        { type: 'Warning', reason: 'CannotBeUsed', message },
      );
    }
    this.#written = now;
  }
}
