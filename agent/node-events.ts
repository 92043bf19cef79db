/** Events of this Node: what is wrong for a while, and that it is over (`kubectl describe node`). */
import type { EventRecorder } from '../datastore/kubernetes/events.ts';
import type { Boundary } from '../lib/boundary.ts';
import type { Clock } from '../lib/clock.ts';

/** What is over by itself within this time is nobody's business. */
const SETTLE_MS = 15_000;
/** Troubles of one reason that get Events: those that were there first. The status has them all. */
const MAX_PER_REASON = 20;

export interface Trouble {
  /** For how long it may last before it counts, milliseconds; 15 s where nothing is said. */
  readonly patienceMs?: number;
  /** One word in CamelCase. */
  readonly reason: string;
  /** A sentence; the same as long as it is the same trouble. */
  readonly message: string;
  /** The cause as it is known now. It may change while the trouble stays. */
  readonly cause?: string | undefined;
}

interface Entry {
  trouble: Trouble;
  isTold: boolean;
  cancel: () => void;
}

export interface NodeEventsModules {
  readonly recorder: Pick<EventRecorder, 'ofNode'>;
  readonly boundary: Boundary;
  readonly clock: Clock;
  /** What is wrong now: asked before an Event is written, because what ended may have changed nothing else. */
  readonly current: () => readonly Trouble[];
}

export class NodeEvents {
  readonly #node: string;
  readonly #modules: NodeEventsModules;
  /** By reason and message. At most 20 of a reason. */
  readonly #present = new Map<string, Entry>();

  constructor(node: string, modules: NodeEventsModules) {
    this.#node = node;
    this.#modules = modules;
  }

  /** Takes over what is wrong now. */
  update(troubles: readonly Trouble[]): void {
    const { recorder, boundary, clock } = this.#modules;
    const now = new Map(troubles.map((trouble) => [`${trouble.reason} ${trouble.message}`, trouble]));
    for (const [key, entry] of this.#present) {
      const latest = now.get(key);
      if (latest) {
        entry.trouble = latest;
        continue;
      }
      const { trouble, isTold, cancel } = entry;
      cancel();
      this.#present.delete(key);
      if (isTold)
        recorder.ofNode(this.#node, {
          type: 'Normal',
          reason: trouble.reason,
          message: `Over: ${trouble.message}`,
        });
    }
    const counts = new Map<string, number>();
    const count = (reason: string) => counts.get(reason) ?? 0;
    for (const { trouble } of this.#present.values()) counts.set(trouble.reason, count(trouble.reason) + 1);
    for (const [key, trouble] of now) {
      if (this.#present.has(key) || count(trouble.reason) >= MAX_PER_REASON) continue;
      counts.set(trouble.reason, count(trouble.reason) + 1);
      const entry: Entry = { trouble, isTold: false, cancel: () => {} };
      this.#present.set(key, entry);
      entry.cancel = clock.after(trouble.patienceMs ?? SETTLE_MS, () => {
        boundary.run('Events', () => this.update(this.#modules.current()));
        if (this.#present.get(key) !== entry) return;
        entry.isTold = true;
        const { reason, message, cause } = entry.trouble;
        const full = cause === undefined ? message : `${message}: ${cause}`;
        boundary.run('Events', () => recorder.ofNode(this.#node, { type: 'Warning', reason, message: full }));
      });
    }
  }

  close(): void {
    for (const { cancel } of this.#present.values()) cancel();
    this.#present.clear();
  }
}
