/**
 * Interned attribute sets. A set is a row number, equal sets share a row, and a million routes hold references instead of
 * objects. Pages hold the bytes: the next hop, then the normal form of wire/scan.ts. Columns hold the values that the
 * decision process compares.
 *
 *   page:  ... +- next hop length (8) -+- next hop -+- attributes in normal form -+ ...
 */
import { formatBytes } from '../../lib/cidr.ts';
import type { AttributeScan } from '../wire/scan.ts';
import { grow, grownCapacity, RowStack } from './columns.ts';

const PAGE = 1 << 20;
/** Octets of an allocation unit. Sets of the same number of units share a free list. */
const UNIT = 16;
const UNITS_PER_PAGE = PAGE / UNIT;

export class AttributeTable {
  readonly #pages: Uint8Array[] = [];
  #nextUnit = UNITS_PER_PAGE;
  readonly #freeUnits: RowStack[] = [];
  #units = new Uint32Array(0);
  #lengths = new Uint32Array(0);
  #hashes = new Int32Array(0);
  #references = new Uint32Array(0);
  #slots = new Int32Array(128);
  #rows = 0;
  #size = 0;
  readonly #free = new RowStack();
  /** AttributeFact bits. */
  flags = new Uint16Array(0);
  origin = new Uint8Array(0);
  med = new Uint32Array(0);
  localPref = new Uint32Array(0);
  pathLength = new Uint16Array(0);
  neighbourAs = new Uint32Array(0);
  /** 0 when the route carries none. */
  originatorId = new Uint32Array(0);
  clusterCount = new Uint16Array(0);

  /** Number of distinct sets. */
  get size(): number {
    return this.#size;
  }

  /**
   * Returns the row of a scanned list with a next hop (4, 16 or 32 octets at `at` of `source`). The caller gets one
   * reference and must `release` it.
   */
  intern(scan: AttributeScan, source: Uint8Array, at: number, nextHopLength: number): number {
    let hash = scan.hash;
    for (let i = 0; i < nextHopLength; i++) hash = Math.imul(hash ^ source[at + i]!, 0x01000193);
    hash ^= hash >>> 15;
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    for (let found = this.#slots[slot]!; found !== 0; found = this.#slots[slot]!) {
      if (this.#hashes[found - 1] === hash && this.#isEqual(found - 1, scan, source, at, nextHopLength)) {
        this.#references[found - 1]!++;
        return found - 1;
      }
      slot = (slot + 1) & mask;
    }
    return this.#insert(slot, hash, scan, source, at, nextHopLength);
  }

  retain(row: number): void {
    this.#references[row]!++;
  }

  /** Releases a reference. The last one removes the set. */
  release(row: number): void {
    if (--this.#references[row]! > 0) return;
    this.#unlink(row);
    const units = unitsFor(this.#lengths[row]!);
    this.#freeUnits[units] ??= new RowStack();
    this.#freeUnits[units].push(this.#units[row]!);
    this.#free.push(row);
    this.#size--;
  }

  /** The page with the set, at `offsetOf`. */
  pageOf(row: number): Uint8Array {
    return this.#pages[Math.floor(this.#units[row]! / UNITS_PER_PAGE)]!;
  }

  /** Offset of the next hop's length octet in the page. */
  offsetOf(row: number): number {
    return (this.#units[row]! % UNITS_PER_PAGE) * UNIT;
  }

  /** Octets from `offsetOf` to the end of the set. */
  lengthOf(row: number): number {
    return this.#lengths[row]!;
  }

  /** A view of the attributes, without the next hop. */
  attributes(row: number): Uint8Array {
    const at = this.offsetOf(row);
    const page = this.pageOf(row);
    return page.subarray(at + 1 + page[at]!, at + this.#lengths[row]!);
  }

  /** A view of the next hop: 4 or 16 octets, or 32 with a link-local address after the global one (RFC 2545). */
  nextHop(row: number): Uint8Array {
    const at = this.offsetOf(row);
    const page = this.pageOf(row);
    return page.subarray(at + 1, at + 1 + page[at]!);
  }

  /** Text of the next hop, or of the global one of two. */
  nextHopText(row: number): string {
    const bytes = this.nextHop(row);
    return formatBytes(bytes.length > 16 ? bytes.subarray(0, 16) : bytes);
  }

  #isEqual(row: number, scan: AttributeScan, source: Uint8Array, at: number, nextHopLength: number): boolean {
    if (this.#lengths[row] !== 1 + nextHopLength + scan.length) return false;
    const page = this.pageOf(row);
    let offset = this.offsetOf(row);
    if (page[offset++] !== nextHopLength) return false;
    for (let i = 0; i < nextHopLength; i++) if (page[offset + i] !== source[at + i]) return false;
    offset += nextHopLength;
    for (let i = 0; i < scan.length; i++) if (page[offset + i] !== scan.bytes[i]) return false;
    return true;
  }

  #insert(
    slot: number,
    hash: number,
    scan: AttributeScan,
    source: Uint8Array,
    at: number,
    nextHopLength: number,
  ): number {
    let row = this.#free.pop();
    if (row < 0) {
      row = this.#rows++;
      if (row >= this.#units.length) this.#growRows(row + 1);
    }
    const length = 1 + nextHopLength + scan.length;
    this.#units[row] = this.#allocate(unitsFor(length));
    this.#lengths[row] = length;
    this.#hashes[row] = hash;
    this.#references[row] = 1;
    this.flags[row] = scan.flags;
    this.origin[row] = scan.origin;
    this.med[row] = scan.med;
    this.localPref[row] = scan.localPref;
    this.pathLength[row] = scan.pathLength;
    this.neighbourAs[row] = scan.neighbourAs;
    this.originatorId[row] = scan.originatorId;
    this.clusterCount[row] = scan.clusterCount;
    const page = this.pageOf(row);
    let offset = this.offsetOf(row);
    page[offset++] = nextHopLength;
    for (let i = 0; i < nextHopLength; i++) page[offset++] = source[at + i]!;
    for (let i = 0; i < scan.length; i++) page[offset++] = scan.bytes[i]!;
    this.#slots[slot] = row + 1;
    if (++this.#size * 3 > this.#slots.length * 2) this.#rehash();
    return row;
  }

  #allocate(units: number): number {
    const free = this.#freeUnits[units]?.pop() ?? -1;
    if (free >= 0) return free;
    if ((this.#nextUnit % UNITS_PER_PAGE) + units > UNITS_PER_PAGE || this.#nextUnit % UNITS_PER_PAGE === 0) {
      this.#nextUnit = this.#pages.length * UNITS_PER_PAGE;
      this.#pages.push(new Uint8Array(PAGE));
    }
    const unit = this.#nextUnit;
    this.#nextUnit += units;
    return unit;
  }

  #growRows(needed: number): void {
    const capacity = grownCapacity(this.#units.length, needed);
    this.#units = grow(this.#units, capacity);
    this.#lengths = grow(this.#lengths, capacity);
    this.#hashes = grow(this.#hashes, capacity);
    this.#references = grow(this.#references, capacity);
    this.flags = grow(this.flags, capacity);
    this.origin = grow(this.origin, capacity);
    this.med = grow(this.med, capacity);
    this.localPref = grow(this.localPref, capacity);
    this.pathLength = grow(this.pathLength, capacity);
    this.neighbourAs = grow(this.neighbourAs, capacity);
    this.originatorId = grow(this.originatorId, capacity);
    this.clusterCount = grow(this.clusterCount, capacity);
  }

  #rehash(): void {
    const old = this.#slots;
    this.#slots = new Int32Array(old.length * 2);
    const mask = this.#slots.length - 1;
    for (const found of old) {
      if (found === 0) continue;
      let slot = this.#hashes[found - 1]! & mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
      this.#slots[slot] = found;
    }
  }

  #unlink(row: number): void {
    const mask = this.#slots.length - 1;
    let hole = this.#hashes[row]! & mask;
    while (this.#slots[hole] !== row + 1) hole = (hole + 1) & mask;
    for (let next = (hole + 1) & mask; this.#slots[next] !== 0; next = (next + 1) & mask) {
      const home = this.#hashes[this.#slots[next]! - 1]! & mask;
      if (((next - home) & mask) >= ((next - hole) & mask)) {
        this.#slots[hole] = this.#slots[next]!;
        hole = next;
      }
    }
    this.#slots[hole] = 0;
  }
}

function unitsFor(octets: number): number {
  return (octets + UNIT - 1) >>> 4;
}
