/**
 * Make before break: when peers come and others go with one change, such as route reflectors in place of the mesh, those
 * that go stay until everything that they tell is told by others too. The new ones may be slow to start, and so may the
 * nodes that tell them.
 */
import type { Clock } from '../lib/clock.ts';

/** What is covered stays this long all the same, because the other side may not be that far, seconds. */
const RETIRE_SECONDS = 3;
const LOOK_MS = 500;

export interface SuccessionOptions {
  /** Wait for a new peer that does not answer, and the time within which changes belong together, seconds. */
  readonly patienceSeconds: number;
  /** Longest stay of a peer that is to go, seconds. */
  readonly longestSeconds: number;
}

export interface SuccessionModules {
  readonly clock: Clock;
  /** Whether other peers, that stay, tell every route that this one tells. */
  readonly isCovered: (key: string) => boolean;
  /** The peer may go now. */
  readonly remove: (key: string) => void;
}

/** A peer, as far as it matters who stands in for whom. */
export interface Successor {
  readonly key: string;
  readonly address: string;
  /** Whether it tells its own routes alone, as nodes of the mesh and clients of a reflector do. */
  readonly isLeaf: boolean;
}

interface Joining {
  readonly peer: Successor;
  readonly joinedAt: number;
  /** Whether it has told everything, or never will. */
  isSettled: boolean;
}

interface Retiring {
  readonly peer: Successor;
  /** Keys of the peers that may tell its routes. Without one it goes at once. */
  readonly successors: Set<string>;
  readonly since: number;
  coveredSince: number | undefined;
}

export class Succession {
  readonly #patienceMs: number;
  readonly #longestMs: number;
  readonly #modules: SuccessionModules;
  /** Peers that came a short time ago. */
  readonly #joining = new Map<string, Joining>();
  readonly #retiring = new Map<string, Retiring>();
  #cancel = () => {};

  constructor({ patienceSeconds, longestSeconds }: SuccessionOptions, modules: SuccessionModules) {
    this.#patienceMs = patienceSeconds * 1000;
    this.#longestMs = longestSeconds * 1000;
    this.#modules = modules;
  }

  isRetiring(key: string): boolean {
    return this.#retiring.has(key);
  }

  /** Takes a peer that comes with a change. */
  join(peer: Successor): void {
    this.#forgetOld();
    this.#joining.set(peer.key, { peer, joinedAt: this.#modules.clock.now(), isSettled: false });
    for (const retiring of this.#retiring.values())
      if (standsIn(peer, retiring.peer)) retiring.successors.add(peer.key);
  }

  /**
   * Takes the peers that one change removes from the configuration. They replace no other peer any more: neither each
   * other, nor a peer that retires already. Call it before `retire`.
   */
  leave(keys: readonly string[]): void {
    for (const key of keys) {
      this.#joining.delete(key);
      for (const { successors } of this.#retiring.values()) successors.delete(key);
    }
    for (const [key, { successors }] of this.#retiring) if (successors.size === 0) this.#end(key);
  }

  /** Retires a peer after `leave`. False when no peer replaces it, so that it can be removed at once. */
  retire(peer: Successor): boolean {
    if (this.#retiring.has(peer.key)) return true;
    this.#forgetOld();
    const joining = [...this.#joining.values()].filter((one) => standsIn(one.peer, peer));
    if (joining.length === 0) return false;
    const successors = new Set(joining.map((one) => one.peer.key));
    this.#retiring.set(peer.key, {
      peer,
      successors,
      since: this.#modules.clock.now(),
      coveredSince: undefined,
    });
    if (this.#retiring.size === 1) this.#lookLater();
    return true;
  }

  /** A peer that was to go is wanted again. True if it was. */
  keep(key: string): boolean {
    return this.#retiring.delete(key);
  }

  /** The peer has told everything, or never will. */
  settle(key: string): void {
    const joining = this.#joining.get(key);
    if (joining) joining.isSettled = true;
  }

  close(): void {
    this.#cancel();
  }

  #look(): void {
    this.#forgetOld();
    const now = this.#modules.clock.now();
    const isAwaiting = [...this.#joining.values()].some(({ isSettled }) => !isSettled);
    for (const [key, retiring] of this.#retiring) {
      const isCovered = !isAwaiting && this.#modules.isCovered(key);
      retiring.coveredSince = isCovered ? (retiring.coveredSince ?? now) : undefined;
      const { since, coveredSince = now } = retiring;
      if (now - coveredSince < RETIRE_SECONDS * 1000 && now - since < this.#longestMs) continue;
      this.#end(key);
    }
    if (this.#retiring.size > 0) this.#lookLater();
  }

  #end(key: string): void {
    this.#retiring.delete(key);
    this.#modules.remove(key);
  }

  #lookLater(): void {
    this.#cancel();
    this.#cancel = this.#modules.clock.after(LOOK_MS, () => this.#look());
  }

  #forgetOld(): void {
    const since = this.#modules.clock.now() - this.#patienceMs;
    for (const [key, { joinedAt }] of this.#joining) if (joinedAt <= since) this.#joining.delete(key);
  }
}

/** One that tells its own routes alone stands in for no other such, but for itself under another port. */
function standsIn(joining: Successor, retiring: Successor): boolean {
  return !joining.isLeaf || !retiring.isLeaf || joining.address === retiring.address;
}
