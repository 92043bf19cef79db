/**
 * Decides what the Node's condition shows. While the start is the only reason for an unavailable network, the condition
 * of the earlier agent stays.
 */
import type { ObjectProblem } from '../../datastore/object-problem.ts';
import type { RulesTable } from '../../kernel/port.ts';
import type { Clock } from '../../lib/time.ts';
import { remarksAbout } from './condition-remarks.ts';
import type { NodeCondition } from './node-condition.ts';
import { START_MS, type Unavailability } from './report.ts';

export interface ConditionSources {
  readonly condition: Pick<NodeCondition, 'update' | 'close'>;
  readonly unavailability: () => Unavailability;
  readonly nftables: Pick<RulesTable, 'problems'>;
  /** Returns the faults of objects. */
  readonly objects: () => readonly ObjectProblem[];
  readonly clock: Clock;
  /** Requests another update, because the time for the start is over. */
  readonly changed: () => void;
}

export class ConditionReport {
  readonly #startedAt: number;
  readonly #sources: ConditionSources;
  #cancel = () => {};

  /** `startedAt` is when this agent started, epoch milliseconds. */
  constructor(startedAt: number, sources: ConditionSources) {
    this.#startedAt = startedAt;
    this.#sources = sources;
  }

  /** Updates the condition. */
  update(): void {
    const { condition, unavailability, nftables, objects, clock, changed } = this.#sources;
    const { broken, starting } = unavailability();
    const leftMs = this.#startedAt + START_MS - clock.now();
    const isStarting = starting.length > 0 && leftMs > 0;
    if (isStarting) {
      this.#cancel();
      this.#cancel = clock.after(leftMs, changed);
      if (broken.length === 0) return;
    }
    condition.update(isStarting ? broken : [...broken, ...starting], [
      ...nftables.problems,
      ...remarksAbout(objects()),
    ]);
  }

  close(): void {
    this.#cancel();
    this.#sources.condition.close();
  }
}
