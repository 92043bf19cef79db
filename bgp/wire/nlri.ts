/**
 * Prefixes on the wire (RFC 4271 section 4.3): a length in bits and as many octets as it needs. With add-path, a path
 * identifier of 32 bits comes first (RFC 7911 section 3). The value of a prefix is its canonical text.
 */
import { addressBytes, bitsOf, type Family, formatBytes, mustCidr } from '../../lib/cidr.ts';
import { Afi } from './iana.ts';
import { Reader } from './reader.ts';
import type { Writer } from './writer.ts';

/** Canonical text of a network, such as `10.244.1.0/26` or `fd00:1::/122`. */
export type Prefix = string;

/** A prefix in a message. */
export interface Nlri {
  readonly prefix: Prefix;
  /** Undefined without add-path. */
  readonly pathId?: number | undefined;
}

export const afiOf = (family: Family): number => (family === 4 ? Afi.IPV4 : Afi.IPV6);

/** Returns the family of an AFI; undefined when it is unsupported. */
export function familyOfAfi(afi: number): Family | undefined {
  return afi === Afi.IPV4 ? 4 : afi === Afi.IPV6 ? 6 : undefined;
}

export function encodeNlri({ prefix, pathId }: Nlri, writer: Writer): void {
  const cidr = mustCidr(prefix);
  if (pathId !== undefined) writer.u32(pathId);
  writer.u8(cidr.length).bytes(addressBytes(cidr).subarray(0, Math.ceil(cidr.length / 8)));
}

/** Describes the fault in a list of prefixes from `start` to `end`; undefined when it is valid. */
export function nlriFault(
  bytes: Uint8Array,
  start: number,
  end: number,
  family: Family,
  hasPathId: boolean,
): string | undefined {
  const bits = bitsOf(family);
  let at = start;
  while (at < end) {
    if (hasPathId) at += 4;
    if (at >= end) return 'a path identifier is cut short';
    const length = bytes[at]!;
    if (length > bits) return `prefix length ${length} in IPv${family}`;
    at += 1 + ((length + 7) >>> 3);
  }
  return at === end ? undefined : 'a prefix is cut short';
}

/**
 * Reads prefixes to the end of the bytes. Bits after the length are ignored (RFC 4271 section 4.3). Throws RangeError
 * for the faults of nlriFault.
 */
export function decodeNlri(bytes: Uint8Array, family: Family, hasPathId: boolean): Nlri[] {
  const fault = nlriFault(bytes, 0, bytes.length, family, hasPathId);
  if (fault) throw new RangeError(fault);
  const reader = new Reader(bytes);
  const routes: Nlri[] = [];
  while (reader.left > 0) {
    const pathId = hasPathId ? reader.u32() : undefined;
    const length = reader.u8();
    const octets = (length + 7) >>> 3;
    const address = new Uint8Array(bitsOf(family) / 8);
    address.set(reader.bytes(octets));
    if (length % 8 !== 0) address[octets - 1]! &= 0xff << (8 - (length % 8));
    const prefix = `${formatBytes(address)}/${length}`;
    routes.push(pathId === undefined ? { prefix } : { prefix, pathId });
  }
  return routes;
}
