/**
 * Connections that came in and are no sessions yet, of all peers. Their number is bounded: anybody who can use a peer's
 * address can open them. Where one is too many, the oldest without an OPEN goes first, so that a peer that speaks is
 * heard behind any number that do not; where all have sent one, the new connection is refused.
 */
export interface PendingConnection {
  /** Key of the peer. */
  readonly peer: string;
  /** A valid OPEN arrived on it. */
  readonly hasOpen: boolean;
  /** Closes it, and deletes it here. */
  evict(): void;
}

export class PendingLimit {
  readonly #perPeer: number;
  readonly #total: number;
  /** In the order of their arrival. */
  readonly #pending = new Set<PendingConnection>();
  readonly #byPeer = new Map<string, Set<PendingConnection>>();

  /** `total` is more than the clients of a large reflector, which all connect in the moment when it comes back. */
  constructor({ perPeer, total }: { perPeer: number; total: number } = { perPeer: 16, total: 8192 }) {
    this.#perPeer = perPeer;
    this.#total = total;
  }

  get size(): number {
    return this.#pending.size;
  }

  /** Makes room for one more connection of a peer, then adds it; false when there is no room. */
  add(connection: PendingConnection): boolean {
    const own = this.#byPeer.get(connection.peer);
    const full = own && own.size >= this.#perPeer ? own : this.#pending;
    if ((full === own || full.size >= this.#total) && !evictSilent(full)) return false;
    this.#pending.add(connection);
    const rest = this.#byPeer.get(connection.peer);
    if (rest) rest.add(connection);
    else this.#byPeer.set(connection.peer, new Set([connection]));
    return true;
  }

  delete(connection: PendingConnection): void {
    this.#pending.delete(connection);
    const own = this.#byPeer.get(connection.peer);
    own?.delete(connection);
    if (own?.size === 0) this.#byPeer.delete(connection.peer);
  }
}

/** Evicts the oldest without an OPEN; false when there is none. */
function evictSilent(connections: Iterable<PendingConnection>): boolean {
  for (const connection of connections) {
    if (connection.hasOpen) continue;
    connection.evict();
    return true;
  }
  return false;
}
