/** The ranges of dynamic peers: which configuration a peer at an address gets. */
import { type Cidr, contains, mustCidr, parseAddress } from '../../lib/cidr.ts';
import type { DynamicPeers, PeerConfig } from './config.ts';

export class DynamicRanges {
  #ranges: readonly (DynamicPeers & { readonly range: Cidr })[] = [];

  /** Replaces the ranges. At an address in several of them, the first one counts. */
  set(dynamic: readonly DynamicPeers[]): void {
    this.#ranges = dynamic.map((one) => ({ ...one, range: mustCidr(one.prefix) }));
  }

  get isEmpty(): boolean {
    return this.#ranges.length === 0;
  }

  get templates(): PeerConfig[] {
    return this.#ranges.map(({ template }) => template);
  }

  /** Returns the configuration of a dynamic peer at this address; undefined when no range contains it. */
  configAt(address: string): PeerConfig | undefined {
    const parsed = parseAddress(address);
    const found = parsed && this.#ranges.find(({ range }) => contains(range, parsed));
    return found && { ...found.template, address, isPassive: true };
  }

  /** Returns the present configuration of a peer; undefined when it is not a dynamic one, or no longer. */
  configFor({ peerType, address }: PeerConfig): PeerConfig | undefined {
    return peerType === 'dynamic' ? this.configAt(address) : undefined;
  }
}
