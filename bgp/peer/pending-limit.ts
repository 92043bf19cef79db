/**
 * Bounds the number of incoming connections that are not sessions yet, over all peers: any host that can use a peer's
 * address can open them. At the limit, the oldest connection without an OPEN is closed, so that silent connections
 * cannot lock out a real peer. When all have sent an OPEN, the new connection is refused.
 */
export interface PendingConnection {
  /** Key of the peer. */
  readonly peer: string;
  /** Whether a valid OPEN arrived. */
  readonly hasOpen: boolean;
  /** Closes the connection and deletes it from the PendingLimit. */
  evict(): void;
}

export class PendingLimit {
  readonly #perPeer: number;
  readonly #total: number;
  /** In order of arrival. */
  readonly #pending = new Set<PendingConnection>();
  readonly #byPeer = new Map<string, Set<PendingConnection>>();

  /** `total` exceeds the number of clients of a large reflector, which all connect at once after it restarts. */
  constructor({ perPeer, total }: { perPeer: number; total: number } = { perPeer: 16, total: 8192 }) {
    this.#perPeer = perPeer;
    this.#total = total;
  }

  get size(): number {
    return this.#pending.size;
  }

  /** Adds a connection, after evicting another one if needed. False when there is no room. */
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

/** Evicts the oldest connection without an OPEN. False when all have sent one. */
function evictSilent(connections: Iterable<PendingConnection>): boolean {
  for (const connection of connections) {
    if (connection.hasOpen) continue;
    connection.evict();
    return true;
  }
  return false;
}
