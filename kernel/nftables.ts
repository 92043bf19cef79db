/**
 * Manages our nftables table in the kernel. It is replaced as a whole in one transaction, so that no packet passes
 * between two tables. `check` compares it again. The table remains when the agent exits.
 */
import type { CommandResult } from '../lib/exec.ts';
import type { Nft, RulesTable, TableRules } from './port.ts';

/** Our table, with its family, and the base chains that identify a table with a guard. */
export interface OwnTable {
  readonly name: string;
  readonly guardChains: readonly string[];
}

const WITHOUT = 'pods are not restricted: they can spoof addresses and reach BGP and tunnels of nodes';

/**
 * Whether pods are restricted: `pending` until known, `on` when the kernel has the guard, `impossible` when it cannot.
 * Then the agent continues, and `problems` reports it.
 */
export type GuardState = 'pending' | 'on' | 'impossible';

export class Nftables implements RulesTable {
  readonly #table: OwnTable;
  readonly #nft: Nft;
  /** Rules that the table was last made from; undefined when unknown, such as after a start. */
  #applied: string | undefined;
  /** nft's listing of the table, and the rules that it belongs to. */
  #listed: string | undefined;
  #listedFor: string | undefined;
  /** The kernel's generation before the table was last listed or compared. */
  #comparedAt: number | undefined;
  #state: GuardState = 'pending';
  #isTried = false;
  /** nft is missing, or the kernel does not support such a table: do not try again before the next full check. */
  #isUnsupported = false;
  #problems: readonly string[] = [];

  constructor(table: OwnTable, nft: Nft) {
    this.#table = table;
    this.#nft = nft;
  }

  get state(): GuardState {
    return this.#state;
  }

  /** Sentences about rules that are not in force. */
  get problems(): readonly string[] {
    return this.#problems;
  }

  /**
   * Ensures that a guard is in force before anything is known of the cluster. A table of a former agent of this version
   * holds more and is kept. The rules of an older version, with its natOutgoing, are kept alongside the guard until the
   * whole table is known.
   */
  async ensure(firstGuard: readonly string[]): Promise<void> {
    const listed = await this.#nft.list(this.#table.name);
    if (isGuard(listed, this.#table)) this.#settle('on', []);
    else if (!listed || !(await this.#add(firstGuard))) await this.#replace(firstGuard);
  }

  /** Adds the lines to the present rules; false when the kernel refuses the combination. */
  async #add(lines: readonly string[]): Promise<boolean> {
    const { ok } = await this.#nft.load(lines);
    if (ok) this.#settle('on', []);
    return ok;
  }

  /** Whether the whole table was tried since the start. Then pods and BGP may start. */
  get isTried(): boolean {
    return this.#isTried;
  }

  /** Whether nft did not answer, so that the same rules must be tried again. */
  get isUndecided(): boolean {
    return this.#applied === undefined && !this.#isUnsupported;
  }

  /** Applies the rules. Refused ones are tried again after the next full `check`. */
  async apply(rules: TableRules): Promise<void> {
    const text = rules.whole.join('\n');
    if (this.#isUnsupported) this.#isTried = true;
    if (text === this.#applied || this.#isUnsupported) return;
    const refused = await this.#replace(rules.whole);
    if (refused && refused.outcome === 'exited' && !this.#isUnsupported) {
      // The guard consists of addresses and ports only, so no setting makes it fail.
      const again = await this.#replace(rules.guard);
      if (!again)
        this.#settle('on', [`${sentence(refused)}: natOutgoing is not in force; the guard against pods is`]);
      else if (this.#state === 'impossible' && !this.#isUnsupported) await this.#applyNat(rules.nat, again);
    }
    const isAnswered = !refused || refused.outcome === 'exited' || refused.outcome === 'missing';
    this.#applied = isAnswered ? text : undefined;
    this.#isTried ||= isAnswered;
    await this.#remember(text, refused === undefined);
  }

  /** Applies the rules without the guard, when the kernel refuses the guard. */
  async #applyNat(nat: readonly string[], refused: CommandResult): Promise<void> {
    const last = await this.#nft.load([...removal(this.#table), ...nat]);
    const fate = last.ok
      ? 'natOutgoing is in force'
      : `natOutgoing is not in force either: ${sentence(last)}`;
    this.#settle('impossible', [`${sentence(refused)}: ${WITHOUT}; ${fate}`]);
  }

  /**
   * Records nft's listing of the applied table. After restoring an unchanged table, it is not listed again before the
   * next full check: another program may have changed it in between, and its change would become the reference.
   */
  async #remember(text: string, isWhole: boolean): Promise<void> {
    if (isWhole && this.#listed !== undefined && this.#listedFor === text) return;
    this.#listedFor = text;
    this.#comparedAt = await this.#nft.generation();
    this.#listed = isWhole ? await this.#nft.list(this.#table.name) : undefined;
  }

  /**
   * Compares the kernel's table with the applied one, if any table changed since. If they differ, the next `apply`
   * restores it. With `isFull`, it compares in any case, and refused rules are tried again, which may succeed now. Resolves
   * with whether another program changed the table.
   */
  async check({ isFull }: { isFull: boolean }): Promise<boolean> {
    if (isFull) this.#listedFor = undefined;
    if (isFull && this.#problems.length > 0) {
      this.#isUnsupported = false;
      this.#applied = undefined;
    }
    if (this.#applied === undefined || this.#listed === undefined) return false;
    const generation = await this.#nft.generation();
    if (!isFull && generation !== undefined && generation === this.#comparedAt) return false;
    const listed = await this.#nft.list(this.#table.name);
    if (listed === this.#listed) this.#comparedAt = generation;
    if (listed === undefined || listed === this.#listed) return false;
    this.#applied = undefined;
    return true;
  }

  /** Removes the table. */
  async remove(): Promise<void> {
    this.#applied = undefined;
    await this.#nft.load(removal(this.#table));
  }

  /** Replaces the table. Returns undefined on success, otherwise nft's result. */
  async #replace(lines: readonly string[]): Promise<CommandResult | undefined> {
    const result = await this.#nft.load([...removal(this.#table), ...lines]);
    if (result.ok) {
      this.#settle('on', []);
      return undefined;
    }
    if (result.outcome === 'missing') {
      this.#isUnsupported = true;
      this.#settle('impossible', [`nft is not installed (Debian package nftables): ${WITHOUT}`]);
    } else if (result.outcome !== 'exited') {
      this.#settle(this.#state, [`${sentence(result)}: retrying`]);
    } else if (isGuard(await this.#nft.list(this.#table.name), this.#table)) {
      this.#settle('on', [`${sentence(result)}: the previous table stays in force`]);
    } else if (await this.#isSupported()) {
      this.#settle('impossible', [`${sentence(result)}: ${WITHOUT}`]);
    } else {
      this.#isUnsupported = true;
      const family = this.#table.name.split(' ')[0];
      this.#settle('impossible', [
        `this kernel has no nf_tables for ${family} tables (module nf_tables): ${WITHOUT}`,
      ]);
    }
    return result;
  }

  /** Whether the kernel supports tables of this family. Creates nothing. */
  #isSupported(): Promise<boolean> {
    return this.#nft.check([`table ${this.#table.name} {}`]);
  }

  #settle(state: GuardState, problems: readonly string[]): void {
    this.#state = state;
    this.#problems = problems;
  }
}

/** Creating the table first makes its deletion succeed if it does not exist. */
function removal({ name }: OwnTable): string[] {
  return [`table ${name} {}`, `delete table ${name}`];
}

/** Whether a listing has all base chains of the guard. */
function isGuard(listing: string | undefined, { guardChains }: OwnTable): boolean {
  return listing !== undefined && guardChains.every((chain) => listing.includes(`chain ${chain} {`));
}

/** Returns nft's message, with the refused line instead of its number. */
function sentence({ outcome, stderr }: CommandResult): string {
  if (outcome !== 'exited') return stderr;
  const [first = '', line = ''] = stderr.split('\n');
  const message = first.replace(/^\/dev\/stdin:[\d:-]+: Error: /, '');
  return `nft refused "${line.trim()}": ${message}`;
}
