/**
 * Our nftables table in the kernel: replaced as a whole in one transaction, so that no packet passes between two tables,
 * and looked at again by `check`. It stays when the agent ends.
 */
import { type CommandResult, feed, run } from '../../lib/exec.ts';
import { guardChains } from '../calc/guard/guard.ts';
import { type Ruleset, TABLE } from '../calc/ruleset.ts';

const TIMEOUT_MS = 10_000;
/** Naming the table first makes its deletion possible where there is none. */
const REMOVAL = [`table ${TABLE} {}`, `delete table ${TABLE}`];

const WITHOUT = 'pods are not held back: they can take foreign addresses and reach BGP and tunnels of nodes';

/**
 * Whether pods are held back: `pending` until that is known, `on` when the kernel has the guard, `impossible` when it
 * cannot have it, which is no reason to stop: `problems` say it.
 */
export type GuardState = 'pending' | 'on' | 'impossible';

export class Nftables {
  /** Text of what the table was last made from; undefined when that is not known, such as after a start. */
  #applied: string | undefined;
  /** How nft lists it, and the text that this is the listing of. */
  #listed: string | undefined;
  #listedFor: string | undefined;
  #state: GuardState = 'pending';
  #isTried = false;
  /** nft is not there, or the kernel takes no such table: nothing is tried before the next full check. */
  #isUnsupported = false;
  #problems: readonly string[] = [];

  get state(): GuardState {
    return this.#state;
  }

  /** Sentences about what is not in force. */
  get problems(): readonly string[] {
    return this.#problems;
  }

  /**
   * Sees to it that there is a guard, before anything of the cluster is known. A table that an agent of this version left
   * knows more and stays. One that an older version left stays beside the guard, with its natOutgoing, until the whole
   * table is known.
   */
  async ensure(firstGuard: readonly string[]): Promise<void> {
    const listed = await list();
    if (isGuard(listed)) this.#settle('on', []);
    else if (!listed || !(await this.#add(firstGuard))) await this.#replace(firstGuard);
  }

  /** Adds the lines to what is there; false when the kernel does not take both. */
  async #add(lines: readonly string[]): Promise<boolean> {
    const { ok } = await feed('nft', ['-f', '-'], lines, TIMEOUT_MS);
    if (ok) this.#settle('on', []);
    return ok;
  }

  /** Whether the whole table was tried since the start: from then on pods and BGP may come. */
  get isTried(): boolean {
    return this.#isTried;
  }

  /** Whether nft did not answer, so that the same has to be tried again. */
  get isUndecided(): boolean {
    return this.#applied === undefined && !this.#isUnsupported;
  }

  /** Makes the table what the rules say. What is refused is tried again after the next full `check`. */
  async apply(rules: Ruleset): Promise<void> {
    const text = rules.whole.join('\n');
    if (this.#isUnsupported) this.#isTried = true;
    if (text === this.#applied || this.#isUnsupported) return;
    const refused = await this.#replace(rules.whole);
    if (refused && refused.outcome === 'exited' && !this.#isUnsupported) {
      // The guard is made of addresses and ports alone: it does not fail with a setting.
      const again = await this.#replace(rules.guard);
      if (!again)
        this.#settle('on', [
          `${sentence(refused)}: natOutgoing is not in force; what pods may not send is refused`,
        ]);
      else if (this.#state === 'impossible' && !this.#isUnsupported) await this.#applyNat(rules.nat, again);
    }
    const isAnswered = !refused || refused.outcome === 'exited' || refused.outcome === 'missing';
    this.#applied = isAnswered ? text : undefined;
    this.#isTried ||= isAnswered;
    await this.#remember(text, refused === undefined);
  }

  /** What is left where the kernel takes no guard. */
  async #applyNat(nat: readonly string[], refused: CommandResult): Promise<void> {
    const last = await feed('nft', ['-f', '-'], [...REMOVAL, ...nat], TIMEOUT_MS);
    const fate = last.ok
      ? 'natOutgoing is in force'
      : `natOutgoing is not in force either: ${sentence(last)}`;
    this.#settle('impossible', [`${sentence(refused)}: ${WITHOUT}; ${fate}`]);
  }

  /**
   * How nft lists what was applied. The same table is not listed again when it had to be put back, before the next full
   * check: somebody may have changed it between the two, and would have made the change the norm.
   */
  async #remember(text: string, isWhole: boolean): Promise<void> {
    if (isWhole && this.#listed !== undefined && this.#listedFor === text) return;
    this.#listedFor = text;
    this.#listed = isWhole ? await list() : undefined;
  }

  /**
   * Looks at the kernel: what somebody changed is applied by the next `apply`. With `isFull` also what was refused, which
   * may be possible by now. Resolves with whether somebody changed the table.
   */
  async check({ isFull }: { isFull: boolean }): Promise<boolean> {
    if (isFull) this.#listedFor = undefined;
    if (isFull && this.#problems.length > 0) {
      this.#isUnsupported = false;
      this.#applied = undefined;
    }
    if (this.#applied === undefined || this.#listed === undefined) return false;
    const listed = await list();
    if (listed === undefined || listed === this.#listed) return false;
    this.#applied = undefined;
    return true;
  }

  /** Takes the table away. */
  async remove(): Promise<void> {
    this.#applied = undefined;
    await feed('nft', ['-f', '-'], REMOVAL, TIMEOUT_MS);
  }

  /** Undefined when the kernel has these lines now; otherwise how nft ended. */
  async #replace(lines: readonly string[]): Promise<CommandResult | undefined> {
    const result = await feed('nft', ['-f', '-'], [...REMOVAL, ...lines], TIMEOUT_MS);
    if (result.ok) {
      this.#settle('on', []);
      return undefined;
    }
    if (result.outcome === 'missing') {
      this.#isUnsupported = true;
      this.#settle('impossible', [`nft is not installed (Debian package nftables): ${WITHOUT}`]);
    } else if (result.outcome !== 'exited') {
      this.#settle(this.#state, [`${sentence(result)}: trying again`]);
    } else if (isGuard(await list())) {
      this.#settle('on', [`${sentence(result)}: the table of before stays`]);
    } else if (await isSupported()) {
      this.#settle('impossible', [`${sentence(result)}: ${WITHOUT}`]);
    } else {
      this.#isUnsupported = true;
      const family = TABLE.split(' ')[0];
      this.#settle('impossible', [
        `this kernel has no nf_tables for ${family} tables (module nf_tables): ${WITHOUT}`,
      ]);
    }
    return result;
  }

  #settle(state: GuardState, problems: readonly string[]): void {
    this.#state = state;
    this.#problems = problems;
  }
}

/** Without counters, which change. Undefined when nft did not answer: that says nothing about the table. */
async function list(): Promise<string | undefined> {
  const { outcome, stdout } = await run('nft', ['-s', 'list', 'table', ...TABLE.split(' ')], {
    timeoutMs: TIMEOUT_MS,
  });
  return outcome === 'exited' ? stdout : undefined;
}

/** Whether a listing has every chain that the kernel calls. */
function isGuard(listing: string | undefined): boolean {
  return listing !== undefined && guardChains.every((name) => listing.includes(`chain ${name} {`));
}

/** Whether the kernel takes a table of this family at all; nothing is made. */
async function isSupported(): Promise<boolean> {
  const { ok } = await feed('nft', ['--check', '-f', '-'], [`table ${TABLE} {}`], TIMEOUT_MS);
  return ok;
}

/** nft's own words, with the line that they are about in place of its number. */
function sentence({ outcome, stderr }: CommandResult): string {
  if (outcome !== 'exited') return stderr;
  const [first = '', line = ''] = stderr.split('\n');
  const message = first.replace(/^\/dev\/stdin:[\d:-]+: Error: /, '');
  return `nft refused "${line.trim()}": ${message}`;
}
