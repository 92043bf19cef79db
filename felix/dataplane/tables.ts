/** The part that keeps our nftables table in force. Its only row is the table. */
import type { RulesTable } from '../../kernel/port.ts';
import { Oscillation } from '../../lib/oscillation.ts';
import { type Ruleset, TABLE } from '../calc/ruleset.ts';
import type { DesiredDataplane } from './desired.ts';
import type { Context, Part, Phase, Problem, Urgency } from './part.ts';

/** Minimum interval between checks of our table. */
const LOOK_MS = 1000;
const OBJECT = `table ${TABLE}`;

export class Tables implements Part {
  readonly name = 'tables';
  readonly #nftables: RulesTable;
  readonly #oscillation = new Oscillation();
  #desired: Ruleset | undefined;
  #pending: Ruleset | undefined;
  #isCheckFull = false;
  #checkedAt = 0;

  /** The table is restored at every check, so nothing waits: without it, pods may send anything. */
  readonly isHeld = false;

  constructor(nftables: RulesTable) {
    this.#nftables = nftables;
  }

  setDesired({ ruleset }: DesiredDataplane): Urgency {
    if (ruleset === this.#desired) return 'none';
    this.#desired = ruleset;
    return 'now';
  }

  /** Compares the kernel's table with the applied one, at limited frequency. */
  async inspect(now: number): Promise<void> {
    if (!this.#isCheckFull && now - this.#checkedAt < LOOK_MS) return;
    const isChanged = await this.#nftables.check({ isFull: this.#isCheckFull });
    this.#isCheckFull = false;
    this.#checkedAt = now;
    if (isChanged) this.#oscillation.applied({ object: OBJECT, change: 'rules of Cali' }, now);
  }

  observe(): void {}

  /** nftables.ts compares the rules. */
  plan(): void {
    this.#pending = this.#desired;
  }

  get pending(): string[] {
    return [];
  }

  async apply(phase: Phase, _context?: Context): Promise<void> {
    const rules = this.#pending;
    if (phase !== 'first' || !rules) return;
    this.#pending = undefined;
    await this.#nftables.apply(rules);
  }

  problems(now: number): Problem[] {
    const refused = this.#nftables.problems.map((reason) => ({ object: OBJECT, reason, subject: '' }));
    const oscillating = this.#oscillation
      .problems(now)
      .map(({ object, sentence }) => ({ object, reason: sentence, subject: '' }));
    return [...refused, ...oscillating];
  }

  /** Whether nft did not answer. */
  get isFailed(): boolean {
    return this.#nftables.isUndecided;
  }

  oscillating(now: number): Readonly<Record<string, number>> {
    return this.#oscillation.counts(now);
  }

  forget(): void {}

  /** Makes the next check a full one, which retries refused rules. */
  recheck(): void {
    this.#isCheckFull = true;
  }
}
