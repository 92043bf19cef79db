/**
 * Addresses of this speaker: a next hop among them leads nowhere (RFC 4271 section 5.1.3). They are the node's, those that
 * it listens on, and the local ends of its sessions, of either family.
 *
 * A reflector may share a node's address with the agent of that node. Then the address is a peer's as well, and the
 * agent's routes name it as their next hop, so only the node's own addresses count where a peer has the same address.
 */
import { addressBytes, type Family, parseAddress } from '../lib/cidr.ts';

export class OwnAddresses {
  #node: ReadonlySet<string>;
  readonly #isPeer: (address: string) => boolean;
  /** Text and octets in hex of the local end of each session, by the key of its peer. */
  readonly #bySession = new Map<string, { address: string; hex: string }>();
  /** The same by octets, with the number of sessions. */
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

  /** The node has these addresses from now on. */
  setNode(addresses: Readonly<Partial<Record<Family, string>>>): void {
    this.#node = new Set(Object.values(addresses).map(hexOf));
  }

  /** Whether these octets, in hex, are an address of this speaker and of no peer. */
  has(hex: string): boolean {
    if (this.#node.has(hex)) return true;
    const end = this.#ends.get(hex);
    return end !== undefined && !this.#isPeer(end.address);
  }

  /** A session with the peer of this key runs over our address; undefined or empty: over none that is known. */
  sessionUp(key: string, address: string | undefined): void {
    this.sessionDown(key);
    if (!address) return;
    const hex = hexOf(address);
    this.#bySession.set(key, { address, hex });
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
