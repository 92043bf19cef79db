/**
 * Prefixes as dense row numbers: an open-addressing hash over the columns address and length. A million prefixes take
 * 13 MB and no objects. One table per address family.
 */
import { addressBytes, type Family, familyOf, formatBytes, parseCidr } from '../../lib/cidr.ts';
import type { Prefix } from '../wire/nlri.ts';
import { grow, grownCapacity, RowStack } from './columns.ts';

export class PrefixTable {
  readonly family: Family;
  /** 32-bit words of an address: 1 or 4. */
  readonly #words: number;
  #addresses = new Uint32Array(0);
  #lengths = new Uint8Array(0);
  /** Row + 1 per slot; 0 is a free slot. Always a power of two, at most 2/3 full. */
  #slots = new Int32Array(128);
  #rows = 0;
  #size = 0;
  readonly #free = new RowStack();
  /** The prefix to look up: parsed from the wire, host bits cleared. */
  readonly #key = new Uint32Array(4);
  #keyLength = 0;

  constructor(family: Family) {
    this.family = family;
    this.#words = family === 4 ? 1 : 4;
  }

  /** Prefixes in the table. */
  get size(): number {
    return this.#size;
  }

  /** One above the highest row number in use. */
  get rows(): number {
    return this.#rows;
  }

  /** Row of the prefix whose wire form (RFC 4271 section 4.3) starts at `at`. Creates it when it is new. */
  intern(bytes: Uint8Array, at: number): number {
    this.#readKey(bytes, at);
    const slot = this.#slotOf();
    const found = this.#slots[slot]!;
    return found === 0 ? this.#insert(slot) : found - 1;
  }

  /** Row of the prefix whose wire form starts at `at`; -1 when absent. */
  find(bytes: Uint8Array, at: number): number {
    this.#readKey(bytes, at);
    return this.#slots[this.#slotOf()]! - 1;
  }

  /** Row of a prefix given as text; -1 when absent. */
  findText(prefix: Prefix): number {
    const wire = familyOf(prefix) === this.family ? wireOf(prefix) : undefined;
    return wire ? this.find(wire, 0) : -1;
  }

  internText(prefix: Prefix): number {
    return this.intern(wireOf(prefix)!, 0);
  }

  /** Frees the row. The caller must not use it afterwards. */
  release(row: number): void {
    this.#loadKey(row);
    this.#unlink(this.#slotOf());
    this.#free.push(row);
    this.#size--;
  }

  /** Writes the wire form. Returns the offset after it. */
  write(row: number, out: Uint8Array, at: number): number {
    const length = this.#lengths[row]!;
    out[at++] = length;
    const base = row * this.#words;
    for (let octet = 0, octets = (length + 7) >>> 3; octet < octets; octet++)
      out[at++] = this.#addresses[base + (octet >> 2)]! >>> (24 - ((octet & 3) << 3));
    return at;
  }

  /** Length of the wire form, octets. */
  wireLength(row: number): number {
    return 1 + ((this.#lengths[row]! + 7) >>> 3);
  }

  text(row: number): Prefix {
    return this.#format(this.#addresses, row * this.#words, this.#lengths[row]!);
  }

  /** Canonical text of the prefix whose wire form starts at `at`. */
  textOf(bytes: Uint8Array, at: number): Prefix {
    this.#readKey(bytes, at);
    return this.#format(this.#key, 0, this.#keyLength);
  }

  #format(words: Uint32Array, base: number, length: number): Prefix {
    const bytes = new Uint8Array(this.#words * 4);
    for (let octet = 0; octet < bytes.length; octet++)
      bytes[octet] = words[base + (octet >> 2)]! >>> (24 - ((octet & 3) << 3));
    return `${formatBytes(bytes)}/${length}`;
  }

  #readKey(bytes: Uint8Array, at: number): void {
    const length = bytes[at]!;
    this.#keyLength = length;
    for (let word = 0; word < this.#words; word++) {
      const bits = length - word * 32;
      if (bits <= 0) {
        this.#key[word] = 0;
        continue;
      }
      const from = at + 1 + word * 4;
      let value = bytes[from]! << 24;
      if (bits > 8) value |= bytes[from + 1]! << 16;
      if (bits > 16) value |= bytes[from + 2]! << 8;
      if (bits > 24) value |= bytes[from + 3]!;
      this.#key[word] = bits >= 32 ? value : value & (-1 << (32 - bits));
    }
  }

  #hash(): number {
    let hash = Math.imul(this.#key[0]! ^ Math.imul(this.#keyLength, 0x9e3779b1), 0x85ebca6b);
    for (let word = 1; word < this.#words; word++)
      hash = Math.imul(hash ^ (hash >>> 15) ^ this.#key[word]!, 0xc2b2ae35);
    hash ^= hash >>> 15;
    return Math.imul(hash, 0x27d4eb2f) >>> 0;
  }

  /** The slot of the key, or the free slot for it. */
  #slotOf(): number {
    const mask = this.#slots.length - 1;
    const shift = 32 - (31 - Math.clz32(this.#slots.length));
    let slot = this.#hash() >>> shift;
    for (let found = this.#slots[slot]!; found !== 0; found = this.#slots[slot]!) {
      if (this.#isKey(found - 1)) return slot;
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #isKey(row: number): boolean {
    if (this.#lengths[row] !== this.#keyLength) return false;
    const base = row * this.#words;
    for (let word = 0; word < this.#words; word++)
      if (this.#addresses[base + word] !== this.#key[word]) return false;
    return true;
  }

  #insert(slot: number): number {
    let row = this.#free.pop();
    if (row < 0) {
      row = this.#rows++;
      if (row >= this.#lengths.length) {
        const capacity = grownCapacity(this.#lengths.length, row + 1);
        this.#lengths = grow(this.#lengths, capacity);
        this.#addresses = grow(this.#addresses, capacity * this.#words);
      }
    }
    this.#lengths[row] = this.#keyLength;
    for (let word = 0; word < this.#words; word++)
      this.#addresses[row * this.#words + word] = this.#key[word]!;
    this.#slots[slot] = row + 1;
    if (++this.#size * 3 > this.#slots.length * 2) this.#rehash();
    return row;
  }

  #rehash(): void {
    const old = this.#slots;
    this.#slots = new Int32Array(old.length * 2);
    for (const found of old) {
      if (found === 0) continue;
      this.#loadKey(found - 1);
      this.#slots[this.#slotOf()] = found;
    }
  }

  #loadKey(row: number): void {
    for (let word = 0; word < this.#words; word++)
      this.#key[word] = this.#addresses[row * this.#words + word]!;
    this.#keyLength = this.#lengths[row]!;
  }

  /** Frees a slot and moves later entries up, so that lookups still find them. */
  #unlink(slot: number): void {
    const mask = this.#slots.length - 1;
    const shift = 32 - (31 - Math.clz32(this.#slots.length));
    let hole = slot;
    for (let next = (hole + 1) & mask; this.#slots[next] !== 0; next = (next + 1) & mask) {
      this.#loadKey(this.#slots[next]! - 1);
      const home = this.#hash() >>> shift;
      if (((next - home) & mask) >= ((next - hole) & mask)) {
        this.#slots[hole] = this.#slots[next]!;
        hole = next;
      }
    }
    this.#slots[hole] = 0;
  }
}

/** Wire form of a prefix given as text; undefined for other text. */
export function wireOf(prefix: Prefix): Uint8Array | undefined {
  const cidr = parseCidr(prefix);
  if (!cidr) return undefined;
  const octets = (cidr.length + 7) >>> 3;
  const wire = new Uint8Array(1 + octets);
  wire[0] = cidr.length;
  wire.set(addressBytes(cidr).subarray(0, octets), 1);
  return wire;
}
