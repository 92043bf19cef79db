/**
 * Connections that came in and are no sessions yet, of all peers. Their number is bounded: anybody who can use a peer's
 * address can open them. Where one is too many, the oldest without an OPEN goes first, so that a peer that speaks is
 * heard behind any number that do not.
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

  constructor({ perPeer, total }: { perPeer: number; total: number } = { perPeer: 16, total: 1024 }) {
    this.#perPeer = perPeer;
    this.#total = total;
  }

  get size(): number {
    return this.#pending.size;
  }

  /** Makes room for one more connection of a peer, then adds it. */
  add(connection: PendingConnection): void {
    const own = [...this.#pending].filter(({ peer }) => peer === connection.peer);
    if (own.length >= this.#perPeer) evictOldest(own);
    else if (this.#pending.size >= this.#total) evictOldest([...this.#pending]);
    this.#pending.add(connection);
  }

  delete(connection: PendingConnection): void {
    this.#pending.delete(connection);
  }
}

function evictOldest(connections: readonly PendingConnection[]): void {
  (connections.find(({ hasOpen }) => !hasOpen) ?? connections[0]!).evict();
}
