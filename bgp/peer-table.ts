/**
 * The peers of a speaker: by key, and by the address that connections come from. Two may have one address, while the
 * port of a peer changes: connections go to the one that was wanted last, and to the other again when that has gone.
 */
import type { PeerConfig } from './peer-config.ts';

interface Keyed {
  readonly key: string;
  readonly config: Pick<PeerConfig, 'address' | 'isDialOnly'>;
}

export class PeerTable<P extends Keyed> {
  readonly #byKey = new Map<string, P>();
  /** Who takes connections from an address; the last one is wanted most. Never empty. */
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

  /** Whom a connection from this address belongs to. */
  acceptor(address: string): P | undefined {
    return this.#byAddress.get(address)?.at(-1);
  }

  add(peer: P): void {
    this.#byKey.set(peer.key, peer);
    this.prefer(peer);
  }

  /** Gives it the connections from its address, whoever had them. */
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
