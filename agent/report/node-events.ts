/** Events about this Node: problems that last for a while, and their end (`kubectl describe node`). */
import type { EventRecorder } from '../../datastore/kubernetes/events.ts';
import type { Boundary } from '../../lib/boundary.ts';
import type { Clock } from '../../lib/time.ts';

/** Conditions that clear within this time are not reported. */
const SETTLE_MS = 15_000;
/** Maximum of problems with the same reason that get Events: the oldest ones. The status has all of them. */
const MAX_PER_REASON = 20;

export interface Trouble {
  /** How long it may last before an Event, milliseconds; default 15 s. */
  readonly patienceMs?: number;
  /** One word in CamelCase. */
  readonly reason: string;
  /** A sentence. It identifies the problem, so it stays the same. */
  readonly message: string;
  /** The currently known cause. It may change while the problem persists. */
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
  /** Returns the current problems. Called before an Event is written, because their end may not cause an update. */
  readonly current: () => readonly Trouble[];
}

export class NodeEvents {
  readonly #node: string;
  readonly #modules: NodeEventsModules;
  /** By reason and message. At most MAX_PER_REASON of a reason. */
  readonly #present = new Map<string, Entry>();

  constructor(node: string, modules: NodeEventsModules) {
    this.#node = node;
    this.#modules = modules;
  }

  /** Sets the current problems. */
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
          message: `Resolved: ${trouble.message}`,
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
