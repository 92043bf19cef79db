/**
 * Make before break. When one change removes peers and adds others, such as reflectors in place of the mesh, removed
 * peers retire: they stay until other peers advertise all of their routes. The new peers, and the nodes behind them,
 * may be slow to start.
 */
import type { Clock } from '../../lib/clock.ts';

/** Grace period after coverage, because the other side may lag, seconds. */
const RETIRE_SECONDS = 3;
const LOOK_MS = 500;

export interface SuccessionOptions {
  /** Wait for a new peer that does not answer, seconds. Removals within this time after an addition belong to it. */
  readonly patienceSeconds: number;
  /** Maximum time that a retiring peer stays, seconds. */
  readonly longestSeconds: number;
}

export interface SuccessionModules {
  readonly clock: Clock;
  /** Whether peers that stay advertise all routes of this one. */
  readonly isCovered: (key: string) => boolean;
  /** Removes the peer. */
  readonly remove: (key: string) => void;
}

/** The properties of a peer that decide which peers can replace it. */
export interface Successor {
  readonly key: string;
  readonly address: string;
  /** Whether it advertises only its own routes, as mesh nodes and reflector clients do. */
  readonly isLeaf: boolean;
}

interface Joining {
  readonly peer: Successor;
  readonly joinedAt: number;
  /** Whether it finished its initial update or never will. */
  isSettled: boolean;
}

interface Retiring {
  readonly peer: Successor;
  /** Keys of the peers that may advertise its routes. When none is left, it is removed at once. */
  readonly successors: Set<string>;
  readonly since: number;
  coveredSince: number | undefined;
}

export class Succession {
  readonly #patienceMs: number;
  readonly #longestMs: number;
  readonly #modules: SuccessionModules;
  /** Peers that were added within the patience time. */
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

  /** Adds a peer that a change adds to the configuration. */
  join(peer: Successor): void {
    this.#forgetOld();
    this.#joining.set(peer.key, { peer, joinedAt: this.#modules.clock.now(), isSettled: false });
    for (const retiring of this.#retiring.values())
      if (standsIn(peer, retiring.peer)) retiring.successors.add(peer.key);
  }

  /**
   * Call it before `retire`, with the keys of all peers that one change removes from the configuration. From then on
   * they replace neither each other nor a peer that already retires.
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

  /** Keeps a peer that is configured again. True when it was retiring. */
  keep(key: string): boolean {
    return this.#retiring.delete(key);
  }

  /** The peer finished its initial update or never will. */
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

/** Whether a new peer can replace a retiring one. A leaf can replace a leaf only with the same address. */
function standsIn(joining: Successor, retiring: Successor): boolean {
  return !joining.isLeaf || !retiring.isLeaf || joining.address === retiring.address;
}
