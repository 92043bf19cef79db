/** Our nftables table in the kernel: replaced as a whole in one transaction, looked at again by `check`. */
import { type CommandResult, feed, run } from '../../lib/exec.ts';
import { TABLE } from '../calc/ruleset.ts';

const TIMEOUT_MS = 10_000;

export class Nftables {
  /** What the table was made from; undefined when that is not known, such as after a start. */
  #applied: string | undefined;
  /** How nft lists it, right after that. */
  #listed = '';

  /** Makes the table what the lines say, no line takes it away. A sentence when that fails. */
  async apply(lines: readonly string[]): Promise<string | undefined> {
    const ruleset = lines.join('\n');
    if (ruleset === this.#applied) return undefined;
    // Naming the table first makes its deletion possible where there is none.
    const result = await feed(
      'nft',
      ['-f', '-'],
      [`table ${TABLE} {}`, `delete table ${TABLE}`, ...lines],
      TIMEOUT_MS,
    );
    if (!result.ok) {
      this.#applied = undefined;
      // Nothing was wanted, and where there is no nft there is no table.
      return ruleset === '' && result.outcome !== 'timeout' ? undefined : describe(result);
    }
    this.#applied = ruleset;
    this.#listed = ruleset === '' ? '' : ((await list()) ?? '');
    return undefined;
  }

  /** Forgets what was applied when the kernel has something else. */
  async check(): Promise<void> {
    if (!this.#applied) return;
    const listed = await list();
    if (listed !== undefined && listed !== this.#listed) this.#applied = undefined;
  }
}

/** Without counters, which change. Undefined when nft did not answer: that says nothing about the table. */
async function list(): Promise<string | undefined> {
  const { outcome, stdout } = await run('nft', ['-s', 'list', 'table', ...TABLE.split(' ')], {
    timeoutMs: TIMEOUT_MS,
  });
  return outcome === 'exited' ? stdout : undefined;
}

function describe({ outcome, stderr }: CommandResult): string {
  const consequence = 'natOutgoing and the protection of tunnels are not in force';
  if (outcome === 'missing') return `nft is not installed (Debian package nftables): ${consequence}`;
  if (outcome === 'exited' && /not supported|No such file/.test(stderr))
    return `this kernel has no nf_tables for ${TABLE.split(' ')[0]} tables (module nf_tables): ${consequence}`;
  return `nft: ${stderr.split('\n')[0]}: ${consequence}`;
}
