/**
 * Prefixes on the wire (RFC 4271 section 4.3): a length in bits and as many octets as it needs. Inside the
 * speaker a prefix is its canonical text.
 */
import { addressBytes, bitsOf, type Family, familyOf, formatBytes, mustCidr } from '../../lib/cidr.ts';
import { Afi } from './iana.ts';
import type { Reader } from './reader.ts';
import type { Writer } from './writer.ts';

/** Canonical text of a network, such as `10.244.1.0/26` or `fd00:1::/122`. */
export type Prefix = string;

export const afiOf = (family: Family): number => (family === 4 ? Afi.IPV4 : Afi.IPV6);

/** Family of an AFI; undefined for one that is not spoken here. */
export function familyOfAfi(afi: number): Family | undefined {
  return afi === Afi.IPV4 ? 4 : afi === Afi.IPV6 ? 6 : undefined;
}

export function encodePrefix(prefix: Prefix, writer: Writer): void {
  const cidr = mustCidr(prefix);
  writer.u8(cidr.length).bytes(addressBytes(cidr).subarray(0, Math.ceil(cidr.length / 8)));
}

/** Octets that a prefix takes on the wire. */
export function encodedPrefixLength(prefix: Prefix): number {
  return 1 + Math.ceil(Number(prefix.slice(prefix.indexOf('/') + 1)) / 8);
}

/**
 * Reads prefixes to the reader's end. Bits behind the length are ignored, as RFC 4271 says; a length
 * above the family's is a RangeError.
 */
export function decodePrefixes(reader: Reader, family: Family): Prefix[] {
  const prefixes: Prefix[] = [];
  while (reader.left > 0) {
    const length = reader.u8();
    if (length > bitsOf(family)) throw new RangeError(`prefix length ${length} in IPv${family}`);
    const octets = Math.ceil(length / 8);
    const bytes = new Uint8Array(bitsOf(family) / 8);
    bytes.set(reader.bytes(octets));
    if (length % 8 !== 0) bytes[octets - 1]! &= 0xff << (8 - (length % 8));
    prefixes.push(`${formatBytes(bytes)}/${length}`);
  }
  return prefixes;
}

/** Family of a prefix text. */
export const familyOfPrefix = (prefix: Prefix): Family => familyOf(prefix);
