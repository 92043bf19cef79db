/**
 * The peers of a speaker, by key and by source address of connections. While the port of a peer changes, two peers can
 * have the same address. The one that was added or preferred last gets the connections; when it is removed, the other
 * one gets them again.
 */
import type { PeerConfig } from './config.ts';

interface Keyed {
  readonly key: string;
  readonly config: Pick<PeerConfig, 'address' | 'isDialOnly'>;
}

export class PeerTable<P extends Keyed> {
  readonly #byKey = new Map<string, P>();
  /** Peers with an address; the last one gets its connections. Never empty. */
  readonly #byAddress = new Map<string, P[]>();

  [Symbol.iterator](): IterableIterator<P> {
    return this.#byKey.values();
  }

  has(key: string): boolean {
    return this.#byKey.has(key);
  }

  get(key: string): P | undefined {
    return this.#byKey.get(key);
  }

  /** Returns the peer that gets connections from this address. */
  acceptor(address: string): P | undefined {
    return this.#byAddress.get(address)?.at(-1);
  }

  add(peer: P): void {
    this.#byKey.set(peer.key, peer);
    this.prefer(peer);
  }

  /** Assigns connections from the peer's address to this peer, unless it only dials. */
  prefer(peer: P): void {
    const { address, isDialOnly } = peer.config;
    if (!isDialOnly) this.#byAddress.set(address, [...this.#others(peer), peer]);
  }

  delete(peer: P): void {
    this.#byKey.delete(peer.key);
    const others = this.#others(peer);
    if (others.length > 0) this.#byAddress.set(peer.config.address, others);
    else this.#byAddress.delete(peer.config.address);
  }

  clear(): void {
    this.#byKey.clear();
    this.#byAddress.clear();
  }

  #others(peer: P): P[] {
    return (this.#byAddress.get(peer.config.address) ?? []).filter((one) => one !== peer);
  }
}
