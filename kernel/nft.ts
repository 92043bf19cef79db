/**
 * nftables of this node: libnftables in this process where that is safe, otherwise the program nft.
 *
 * A change makes the library read the sets of all tables. libnftables 1.0.6 crashes on those that nftables 1.1.2 or later
 * wrote, and would take the agent and its BGP sessions with it. So the library is used only while no table has such a set,
 * and after the program, which has the same code, has survived a change.
 */
import { messageOf } from '../lib/errors.ts';
import type { CommandResult } from '../lib/exec.ts';
import type { Log } from '../lib/log.ts';
import { openLibnftables } from './libnftables.ts';
import type { NftSetHeader } from './netlink/nftables.ts';
import { programNft } from './nft-program.ts';
import { type NftReader, openNftState } from './nft-state.ts';
import type { Nft } from './port.ts';

export interface NftParts {
  readonly program: Nft;
  /** Opens what the library needs; called once, by the first call. Undefined parts are missing on this node. */
  readonly open: () => { readonly state: NftReader | undefined; readonly library: Nft | undefined };
  readonly log: Log;
}

/** nftables of this thread's network namespace. */
export function linuxNft(log: Log): ChosenNft {
  return new ChosenNft({
    program: programNft(),
    open: () => {
      const state = openNftState();
      return { state, library: state && openLibnftables() };
    },
    log,
  });
}

export class ChosenNft implements Nft {
  readonly #parts: NftParts;
  #opened: ReturnType<NftParts['open']> | undefined;
  /** Whether the program has survived a change, or is missing. */
  #isProven = false;
  #isReported = false;
  /** The last generation at which the library could read all sets. */
  #readableAt: number | undefined;
  /** A set that the library cannot read. */
  #unreadable: NftSetHeader | undefined;

  constructor(parts: NftParts) {
    this.#parts = parts;
  }

  async load(lines: readonly string[]): Promise<CommandResult> {
    const library = await this.#library();
    if (library) return library.load(lines);
    const result = await this.#parts.program.load(lines);
    if (result.outcome === 'killed') return this.#explain(result);
    if (result.outcome !== 'exited' && result.outcome !== 'missing') return result;
    this.#isProven = true;
    const found = await this.#library();
    this.#report(found !== undefined);
    return result.outcome === 'missing' && found ? found.load(lines) : result;
  }

  async check(lines: readonly string[]): Promise<boolean> {
    const library = await this.#library();
    return (library ?? this.#parts.program).check(lines);
  }

  async list(table: string): Promise<string | undefined> {
    const library = await this.#library();
    return (library ?? this.#parts.program).list(table);
  }

  async generation(): Promise<number | undefined> {
    return this.#open().state?.generation();
  }

  /** The library's context remains until the process ends: to free it takes a thread and the kernel's time. */
  close(): void {
    this.#opened?.state?.close();
  }

  /** Returns the library if it is safe to use now. */
  async #library(): Promise<Nft | undefined> {
    const { state, library } = this.#open();
    if (!state || !library || !this.#isProven) return undefined;
    const generation = await state.generation();
    if (generation === undefined) return undefined;
    if (generation !== this.#readableAt) {
      this.#readableAt = undefined;
      if (await this.#hasUnreadableSet(state)) return undefined;
      // A change after this question is noticed at the next call.
      this.#readableAt = generation;
    }
    return library;
  }

  async #hasUnreadableSet(state: NftReader): Promise<boolean> {
    const { log } = this.#parts;
    try {
      const found = await state.findUnreadable();
      if (found && !this.#unreadable)
        log.info(
          { table: found.table, set: found.name },
          'nftables: a newer nft wrote a set; using the program nft',
        );
      this.#unreadable = found;
      return found !== undefined;
    } catch (error) {
      log.debug({ reason: messageOf(error) }, 'nftables: sets cannot be read; using the program nft');
      return true;
    }
  }

  /** Adds the likely reason to the result of a program that crashed. */
  async #explain(result: CommandResult): Promise<CommandResult> {
    const found = await this.#open()
      .state?.findUnreadable()
      .catch(() => undefined);
    if (!found) return result;
    const { table, name } = found;
    return {
      ...result,
      stderr: `${result.stderr}: this version cannot read set ${name} of table ${table}, which a newer nft wrote`,
    };
  }

  #open(): ReturnType<NftParts['open']> {
    this.#opened ??= this.#parts.open();
    return this.#opened;
  }

  #report(isLibrary: boolean): void {
    if (this.#isReported) return;
    this.#isReported = true;
    const through = isLibrary ? 'libnftables, in this process' : 'the program nft';
    this.#parts.log.info({}, `nftables is changed through ${through}`);
  }
}
