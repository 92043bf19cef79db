/** The nftables ruleset in force. It is the same object while its text is the same, which spares the dataplane work. */
import type { Ruleset } from '../../felix/calc/ruleset.ts';

export class RulesetCache {
  #ruleset: Ruleset | undefined;
  #isStale = true;

  /** The last ruleset that was calculated; undefined before the first one. */
  get last(): Ruleset | undefined {
    return this.#ruleset;
  }

  /** Records that an input changed. */
  invalidate(): void {
    this.#isStale = true;
  }

  /** Returns the ruleset. Calls `calculate` only after an input changed. */
  current(calculate: () => Ruleset): Ruleset {
    if (this.#ruleset && !this.#isStale) return this.#ruleset;
    const next = calculate();
    this.#isStale = false;
    const isSame = this.#ruleset?.whole.join('\n') === next.whole.join('\n');
    this.#ruleset = isSame && this.#ruleset ? this.#ruleset : next;
    return this.#ruleset;
  }
}
