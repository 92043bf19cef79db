/**
 * Make before break. When one change removes peers and adds others, such as reflectors in place of the mesh, removed
 * peers retire: they stay until other peers advertise all of their routes. The new peers, and the nodes behind them,
 * may be slow to start.
 */
import type { Clock } from '../../lib/time.ts';

/** Grace period once alternate paths exist, because the other side may lag, seconds. */
const RETIRE_SECONDS = 3;
const LOOK_MS = 500;

export interface PeerReplacementOptions {
  /** Wait for a new peer that does not answer, seconds. Removals within this time after an addition belong to it. */
  readonly patienceSeconds: number;
  /** Maximum time that a retiring peer stays, seconds. */
  readonly longestSeconds: number;
}

export interface PeerReplacementModules {
  readonly clock: Clock;
  /** Whether peers that stay advertise all routes of this one. */
  readonly hasAlternatePaths: (key: string) => boolean;
  /** Removes the peer. */
  readonly remove: (key: string) => void;
}

/** The properties of a peer that decide which peers can replace it. */
export interface ReplaceablePeer {
  readonly key: string;
  readonly address: string;
  /** Whether it advertises only its own routes, as mesh nodes and reflector clients do. */
  readonly isLeaf: boolean;
}

interface Joining {
  readonly peer: ReplaceablePeer;
  readonly joinedAt: number;
  /** Whether it finished its initial update or never will. */
  isSettled: boolean;
}

interface Retiring {
  readonly peer: ReplaceablePeer;
  /** Keys of the peers that may advertise its routes. When none is left, it is removed at once. */
  readonly replacements: Set<string>;
  readonly since: number;
  alternatesSince: number | undefined;
}

export class PeerReplacement {
  readonly #patienceMs: number;
  readonly #longestMs: number;
  readonly #modules: PeerReplacementModules;
  /** Peers that were added within the patience time. */
  readonly #joining = new Map<string, Joining>();
  readonly #retiring = new Map<string, Retiring>();
  #cancel = () => {};

  constructor({ patienceSeconds, longestSeconds }: PeerReplacementOptions, modules: PeerReplacementModules) {
    this.#patienceMs = patienceSeconds * 1000;
    this.#longestMs = longestSeconds * 1000;
    this.#modules = modules;
  }

  isRetiring(key: string): boolean {
    return this.#retiring.has(key);
  }

  /** Adds a peer that a change adds to the configuration. */
  join(peer: ReplaceablePeer): void {
    this.#forgetOld();
    this.#joining.set(peer.key, { peer, joinedAt: this.#modules.clock.now(), isSettled: false });
    for (const retiring of this.#retiring.values())
      if (canReplace(peer, retiring.peer)) retiring.replacements.add(peer.key);
  }

  /**
   * Call it before `retire`, with the keys of all peers that one change removes from the configuration. From then on
   * they replace neither each other nor a peer that already retires.
   */
  leave(keys: readonly string[]): void {
    for (const key of keys) {
      this.#joining.delete(key);
      for (const { replacements } of this.#retiring.values()) replacements.delete(key);
    }
    for (const [key, { replacements }] of this.#retiring) if (replacements.size === 0) this.#end(key);
  }

  /** Retires a peer after `leave`. False when no peer replaces it, so that it can be removed at once. */
  retire(peer: ReplaceablePeer): boolean {
    if (this.#retiring.has(peer.key)) return true;
    this.#forgetOld();
    const joining = [...this.#joining.values()].filter((one) => canReplace(one.peer, peer));
    if (joining.length === 0) return false;
    const replacements = new Set(joining.map((one) => one.peer.key));
    this.#retiring.set(peer.key, {
      peer,
      replacements,
      since: this.#modules.clock.now(),
      alternatesSince: undefined,
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
      const hasAlternatePaths = !isAwaiting && this.#modules.hasAlternatePaths(key);
      retiring.alternatesSince = hasAlternatePaths ? (retiring.alternatesSince ?? now) : undefined;
      const { since, alternatesSince = now } = retiring;
      if (now - alternatesSince < RETIRE_SECONDS * 1000 && now - since < this.#longestMs) continue;
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
function canReplace(joining: ReplaceablePeer, retiring: ReplaceablePeer): boolean {
  return !joining.isLeaf || !retiring.isLeaf || joining.address === retiring.address;
}
