/**
 * Addresses of this speaker, in both families: those of the node, those that it listens on, and the local addresses of
 * its sessions. Routes with one of them as next hop are not used (RFC 4271 section 5.1.3).
 *
 * A reflector may share a node's address with the agent of that node. The address is then also a peer's, and the
 * agent's routes have it as next hop. Therefore, a listen or session address that a peer also has does not count.
 */
import { addressBytes, type Family, parseAddress } from '../../lib/cidr.ts';

export class OwnAddresses {
  #node: ReadonlySet<string>;
  readonly #isPeer: (address: string) => boolean;
  /** Local address of each session, as text and in hex, by the key of its peer. */
  readonly #bySession = new Map<string, { address: string; hex: string }>();
  #latest: { readonly address: string; readonly hex: string } | undefined;
  /** Local addresses by hex, with the number of sessions. */
  readonly #ends = new Map<string, { address: string; sessions: number }>();

  /** `isPeer`: whether a peer has this address. */
  constructor(
    addresses: {
      readonly node: Readonly<Partial<Record<Family, string>>>;
      readonly listen?: readonly string[] | undefined;
    },
    isPeer: (address: string) => boolean,
  ) {
    this.#node = new Set(Object.values(addresses.node).map(hexOf));
    this.#isPeer = isPeer;
    for (const address of addresses.listen ?? []) this.sessionUp(`listen on ${address}`, address);
  }

  /** Replaces the addresses of the node. */
  setNode(addresses: Readonly<Partial<Record<Family, string>>>): void {
    this.#node = new Set(Object.values(addresses).map(hexOf));
  }

  /** Whether an address in hex belongs to this speaker. Listen and session addresses that a peer also has do not. */
  has(hex: string): boolean {
    if (this.#node.has(hex)) return true;
    const end = this.#ends.get(hex);
    return end !== undefined && !this.#isPeer(end.address);
  }

  /** Records the local address of a peer's session. Undefined or empty when it is unknown. */
  sessionUp(key: string, address: string | undefined): void {
    this.sessionDown(key);
    if (!address) return;
    // Most sessions have the same local address.
    if (this.#latest?.address !== address) this.#latest = { address, hex: hexOf(address) };
    const { hex } = this.#latest;
    this.#bySession.set(key, this.#latest);
    this.#ends.set(hex, { address, sessions: (this.#ends.get(hex)?.sessions ?? 0) + 1 });
  }

  sessionDown(key: string): void {
    const session = this.#bySession.get(key);
    if (!session) return;
    this.#bySession.delete(key);
    const { sessions } = this.#ends.get(session.hex)!;
    if (sessions > 1) this.#ends.set(session.hex, { address: session.address, sessions: sessions - 1 });
    else this.#ends.delete(session.hex);
  }
}

function hexOf(address: string): string {
  return Buffer.from(addressBytes(parseAddress(address.replace(/%.*$/, ''))!)).toString('hex');
}
