/** Events of this Node: what is wrong for a while, and that it is over (`kubectl describe node`). */
import type { EventRecorder } from '../datastore/kubernetes/events.ts';
import type { Clock } from '../lib/clock.ts';

/** What is over by itself within this time is nobody's business. */
const SETTLE_MS = 15_000;

export interface Trouble {
  /** One word in CamelCase. */
  readonly reason: string;
  /** A sentence; the same as long as it is the same trouble. */
  readonly message: string;
}

export class NodeEvents {
  readonly #node: string;
  readonly #modules: { recorder: EventRecorder; clock: Clock };
  /** By reason and message. Bounded by what is wrong now. */
  readonly #present = new Map<string, { trouble: Trouble; isTold: boolean; cancel: () => void }>();

  constructor(node: string, modules: { recorder: EventRecorder; clock: Clock }) {
    this.#node = node;
    this.#modules = modules;
  }

  /** Takes over what is wrong now. */
  update(troubles: readonly Trouble[]): void {
    const { recorder, clock } = this.#modules;
    const now = new Map(troubles.map((trouble) => [`${trouble.reason} ${trouble.message}`, trouble]));
    for (const [key, { trouble, isTold, cancel }] of this.#present) {
      if (now.has(key)) continue;
      cancel();
      this.#present.delete(key);
      if (isTold)
        recorder.ofNode(this.#node, {
          type: 'Normal',
          reason: trouble.reason,
          message: `Over: ${trouble.message}`,
        });
    }
    for (const [key, trouble] of now) {
      if (this.#present.has(key)) continue;
      const entry = { trouble, isTold: false, cancel: () => {} };
      this.#present.set(key, entry);
      entry.cancel = clock.after(SETTLE_MS, () => {
        entry.isTold = true;
        recorder.ofNode(this.#node, { type: 'Warning', ...trouble });
      });
    }
  }

  close(): void {
    for (const { cancel } of this.#present.values()) cancel();
    this.#present.clear();
  }
}
