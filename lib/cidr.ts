/**
 * IP addresses and prefixes as plain values. An address is a family and an unsigned integer (32 or
 * 128 bits); text is always the canonical form (dotted quad, RFC 5952 for IPv6).
 */

/** Address family by IP version. */
export type Family = 4 | 6;

/** One IP address. `value` is unsigned, below 2^32 (IPv4) or 2^128 (IPv6). */
export interface Address {
  readonly family: Family;
  readonly value: bigint;
}

/** A prefix as written. It keeps host bits, so `192.168.1.10/24` stays as it is. */
export interface Cidr extends Address {
  readonly length: number;
}

/** Number of bits in an address of the family. */
export function bitsOf(family: Family): 32 | 128 {
  return family === 4 ? 32 : 128;
}

/** Parses an address without prefix length; undefined for other text. */
export function parseAddress(text: string): Address | undefined {
  return text.includes(':') ? parseV6(text) : parseV4(text);
}

/** Parses `address/length`; a bare address counts as a host prefix. Undefined when the text is neither. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf('/');
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (!address) return undefined;
  if (slash < 0) return { ...address, length: bitsOf(address.family) };
  const digits = text.slice(slash + 1);
  const length = Number(digits);
  if (!/^(0|[1-9]\d{0,2})$/.test(digits) || length > bitsOf(address.family)) return undefined;
  return { ...address, length };
}

/** Like parseCidr, for text that was validated before. Throws RangeError for other text. */
export function mustCidr(text: string): Cidr {
  const cidr = parseCidr(text);
  if (!cidr) throw new RangeError(`"${text}" is not an IP prefix`);
  return cidr;
}

/** Canonical text of an address. */
export function formatAddress({ family, value }: Address): string {
  if (family === 4) {
    const n = Number(value);
    return `${(n >>> 24) & 255}.${(n >>> 16) & 255}.${(n >>> 8) & 255}.${n & 255}`;
  }
  return formatV6(value);
}

/** Canonical text of a prefix, host bits kept. */
export function formatCidr(cidr: Cidr): string {
  return `${formatAddress(cidr)}/${cidr.length}`;
}

/** The same prefix with its host bits cleared. */
export function networkOf(cidr: Cidr): Cidr {
  const shift = BigInt(bitsOf(cidr.family) - cidr.length);
  return { ...cidr, value: (cidr.value >> shift) << shift };
}

/** Canonical network text for any spelling of a prefix; undefined for other text. */
export function canonicalCidr(text: string): string | undefined {
  const cidr = parseCidr(text);
  return cidr && formatCidr(networkOf(cidr));
}

/** Whether any host bit is set. */
export function hasHostBits(cidr: Cidr): boolean {
  return networkOf(cidr).value !== cidr.value;
}

/** Whether `outer` covers all of `inner`. */
export function contains(outer: Cidr, inner: Cidr | Address): boolean {
  const length = 'length' in inner ? inner.length : bitsOf(inner.family);
  if (outer.family !== inner.family || outer.length > length) return false;
  const shift = BigInt(bitsOf(outer.family) - outer.length);
  return outer.value >> shift === inner.value >> shift;
}

/** Whether two prefixes share an address. */
export function overlaps(a: Cidr, b: Cidr): boolean {
  return contains(a, b) || contains(b, a);
}

/** Number of addresses in a prefix. */
export function sizeOf(cidr: Cidr): bigint {
  return 1n << BigInt(bitsOf(cidr.family) - cidr.length);
}

/** The address at an offset from the network address. */
export function addressAt(cidr: Cidr, offset: bigint | number): Address {
  return { family: cidr.family, value: networkOf(cidr).value + BigInt(offset) };
}

/** `a.b.c.d/32` or `x::y/128` for an address text. */
export function hostCidr(address: string): string {
  return `${address}/${address.includes(':') ? 128 : 32}`;
}

/** Family of an address or prefix text, by its spelling alone. */
export function familyOf(text: string): Family {
  return text.includes(':') ? 6 : 4;
}

/** Network-order bytes of an address, 4 or 16. */
export function addressBytes({ family, value }: Address): Uint8Array {
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  let rest = value;
  for (let i = bytes.length - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 255n);
    rest >>= 8n;
  }
  return bytes;
}

/** Text of 4 or 16 network-order bytes, from an offset on. */
export function formatBytes(bytes: Uint8Array, at = 0, length = bytes.length - at): string {
  if (length === 4) return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
  const groups: number[] = [];
  for (let i = at; i < at + 16; i += 2) groups.push((bytes[i]! << 8) | bytes[i + 1]!);
  return formatGroups(groups);
}

function parseV4(text: string): Address | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let value = 0;
  for (const part of parts) {
    // Some programs read a leading zero as octal. Refuse it, as Go and Calico do.
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    value = value * 256 + Number(part);
  }
  return { family: 4, value: BigInt(value) };
}

function parseV6(text: string): Address | undefined {
  let source = text;
  const tail = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (tail) {
    const v4 = parseV4(tail[2]!);
    if (!v4) return undefined;
    source = `${tail[1]}${(v4.value >> 16n).toString(16)}:${(v4.value & 0xffffn).toString(16)}`;
  }
  const halves = source.split('::');
  if (halves.length > 2) return undefined;
  const head = halves[0] === '' ? [] : halves[0]!.split(':');
  const rest = halves.length === 1 || halves[1] === '' ? [] : halves[1]!.split(':');
  const missing = 8 - head.length - rest.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  let value = 0n;
  for (const group of [...head, ...Array<string>(halves.length === 1 ? 0 : missing).fill('0'), ...rest]) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined;
    value = (value << 16n) | BigInt(`0x${group}`);
  }
  return { family: 6, value };
}

function formatV6(value: bigint): string {
  const groups: number[] = [];
  for (let shift = 112n; shift >= 0n; shift -= 16n) groups.push(Number((value >> shift) & 0xffffn));
  return formatGroups(groups);
}

/** RFC 5952: lower case, longest run of two or more zero groups as `::`, the first one on a tie. */
function formatGroups(groups: readonly number[]): string {
  let best = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > bestLength) {
      best = i;
      bestLength = end - i;
    }
    if (end > i) i = end;
  }
  let text = '';
  for (let i = 0; i < 8; i++) {
    if (i === best) {
      text += '::';
      i += bestLength - 1;
      continue;
    }
    if (i > 0 && i !== best + bestLength) text += ':';
    text += groups[i]!.toString(16);
  }
  return text;
}
