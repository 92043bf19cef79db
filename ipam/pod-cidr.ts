/**
 * Assigns addresses from Node.spec.podCIDRs, as the host-local plugin does with `usePodCidr` in Calico. Nothing is
 * written to the datastore, because only this node may assign addresses of its range. The allocations follow from the
 * pods that exist, so they survive a restart together.
 */
import {
  addressAt,
  bitsOf,
  type Cidr,
  contains,
  type Family,
  familyOf,
  formatAddress,
  formatCidr,
  networkOf,
  parseAddress,
  parseCidr,
  sizeOf,
} from '../lib/cidr.ts';
import { printable } from '../lib/plain-text.ts';
import { type AddressSource, type AssignRequest, IpamError } from './address-source.ts';

/** The address after the network address is the tunnels' (Calico). */
const TUNNEL_ORDINAL = 1n;
const FIRST_ORDINAL = 2n;

export class PodCidrIpam implements AddressSource {
  readonly #node: string;
  readonly #podCidrs: () => readonly string[];
  /** Addresses by handle. Bounded by the node's pods. */
  readonly #held = new Map<string, readonly string[]>();
  /** The last assigned ordinal. The search continues after it, so that released addresses are reused late. */
  readonly #last = new Map<Family, bigint>();

  /** `present` lists the addresses of pods from an earlier run. */
  constructor(
    node: string,
    podCidrs: () => readonly string[],
    present: Iterable<readonly [handleId: string, addresses: readonly string[]]>,
  ) {
    this.#node = node;
    this.#podCidrs = podCidrs;
    for (const [handleId, addresses] of present) this.#held.set(handleId, addresses);
  }

  async assign(request: AssignRequest): Promise<string[]> {
    const present = this.#held.get(request.handleId);
    if (present) return [...present];
    const asked = request.addresses?.map((address) => this.#exactly(address));
    if (asked && new Set(asked.map(familyOf)).size < asked.length)
      throw new IpamError('ADDRESS_OUTSIDE', 'a pod can have one address of each family');
    const addresses = asked
      ? asked
      : request.families.map((family) => this.#next(family, request.use === 'Tunnel'));
    this.#held.set(request.handleId, addresses);
    return addresses;
  }

  async releaseAddresses(handleId: string): Promise<void> {
    this.#held.delete(handleId);
  }

  async releaseHandle(handleId: string): Promise<string[]> {
    const addresses = this.#held.get(handleId) ?? [];
    this.#held.delete(handleId);
    return [...addresses];
  }

  held(handleId: string): string[] {
    return [...(this.#held.get(handleId) ?? [])];
  }

  #next(family: Family, isTunnel: boolean): string {
    const range = this.#range(family);
    if (isTunnel) return formatAddress(addressAt(range, TUNNEL_ORDINAL));
    const taken = new Set([...this.#held.values()].flat());
    // The last address of an IPv4 network is its broadcast address.
    const end = sizeOf(range) - (family === 4 ? 1n : 0n);
    const count = end - FIRST_ORDINAL;
    const start = (this.#last.get(family) ?? FIRST_ORDINAL - 1n) + 1n;
    // Among one more addresses than are allocated, one is free.
    const attempts = count < BigInt(taken.size + 1) ? count : BigInt(taken.size + 1);
    for (let offset = 0n; offset < attempts; offset++) {
      const ordinal = FIRST_ORDINAL + ((start - FIRST_ORDINAL + offset) % count);
      const address = formatAddress(addressAt(range, ordinal));
      if (taken.has(address)) continue;
      this.#last.set(family, ordinal);
      return address;
    }
    throw new IpamError(
      'EXHAUSTED',
      `no IPs available in podCIDR of node ${this.#node}: delete pods, or give nodes larger ranges (--node-cidr-mask-size)`,
    );
  }

  #exactly(text: string): string {
    const parsed = parseAddress(text);
    const range = parsed && this.#ranges().find((one) => contains(one, parsed));
    if (!parsed || !range)
      throw new IpamError(
        'ADDRESS_OUTSIDE',
        `${printable(text, 100)} is not in the podCIDR of node ${this.#node} (${this.#podCidrs().join(', ') || 'none'}): request one inside it`,
      );
    const address = formatAddress(parsed);
    const ordinal = parsed.value - networkOf(range).value;
    const isBroadcast = parsed.family === 4 && ordinal === sizeOf(range) - 1n;
    if (ordinal < FIRST_ORDINAL || isBroadcast)
      throw new IpamError(
        'ADDRESS_TAKEN',
        `${address} is the network, tunnel or broadcast address of ${formatCidr(range)}: request another`,
      );
    for (const [handleId, addresses] of this.#held)
      if (addresses.includes(address))
        throw new IpamError('ADDRESS_TAKEN', `${address} is taken by ${handleId}: request another`);
    return address;
  }

  #range(family: Family): Cidr {
    const range = this.#ranges().find((one) => one.family === family && one.length < bitsOf(family) - 1);
    if (range) return networkOf(range);
    throw new IpamError(
      'NO_POOL',
      `node ${this.#node} has no IPv${family} podCIDR: run kube-controller-manager with --allocate-node-cidrs, or use cali-ipam`,
    );
  }

  #ranges(): Cidr[] {
    return this.#podCidrs().flatMap((text) => parseCidr(text) ?? []);
  }
}
