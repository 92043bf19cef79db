/** The part that keeps our nftables table in force. */
import type { RulesTable } from '../../kernel/port.ts';
import type { Oscillation } from '../../lib/oscillation.ts';
import type { Clock } from '../../lib/time.ts';
import { type Ruleset, TABLE } from '../calc/ruleset.ts';

/** Minimum interval between checks of our table on kernel events. */
const LOOK_MS = 1000;

export interface TableModules {
  readonly clock: Clock;
  readonly nftables: RulesTable;
  readonly oscillation: Oscillation;
}

export class Table {
  readonly #modules: TableModules;
  #isCheckFull = false;
  #checkedAt = 0;

  constructor(modules: TableModules) {
    this.#modules = modules;
  }

  /** Makes the next check a full one, which retries refused rules. */
  recheck(): void {
    this.#isCheckFull = true;
  }

  /**
   * Applies the table, and checks at limited frequency whether another program changed it. Repeated changes count as an
   * oscillation. The table is still restored at every check, every few seconds: without it, pods may send anything.
   * Resolves with whether another program changed it.
   */
  async apply(ruleset: Ruleset): Promise<boolean> {
    const { clock, nftables, oscillation } = this.#modules;
    const now = clock.now();
    let isChanged = false;
    if (this.#isCheckFull || now - this.#checkedAt >= LOOK_MS) {
      isChanged = await nftables.check({ isFull: this.#isCheckFull });
      this.#isCheckFull = false;
      this.#checkedAt = now;
      if (isChanged) oscillation.applied({ object: `table ${TABLE}`, change: 'rules of Cali' }, now);
    }
    await nftables.apply(ruleset);
    return isChanged;
  }
}
