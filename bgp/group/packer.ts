/**
 * Packs routes into UPDATEs. Routes with the same attributes and source form a bucket and share messages. Attributes are
 * encoded once per bucket, for any number of messages and members.
 *
 *   IPv4:  +- header -+- 0 (16) -+- length (16) -+- attributes -+- NLRI -+
 *   IPv6:  +- header -+- 0 (16) -+- length (16) -+- MP_REACH_NLRI with NLRI -+- attributes -+
 */
import type { Family } from '../../lib/cidr.ts';
import type { Rib } from '../rib/rib.ts';
import { AttributeFlag, AttributeType, HEADER_LENGTH, MessageType, SAFI_UNICAST } from '../wire/iana.ts';
import { afiOf } from '../wire/nlri.ts';
import { type AttributeEncoder, LONGEST_ATTRIBUTES, MOST_ADDED } from './attribute-encoder.ts';
import { Batch } from './batch.ts';

/** Columns of the group's entries. An entry is a row of prefixes, or of paths with add-path. */
export interface Entries {
  /** Advertised attribute row; negative when nothing is advertised. */
  readonly sent: Int32Array;
  readonly source: Uint16Array;
}

export interface PackerOptions {
  readonly family: Family;
  readonly maxMessageLength: number;
  readonly hasAddPath: boolean;
  readonly isFourOctetAs: boolean;
}

const SCRATCH = 1 << 18;
const FIXED = HEADER_LENGTH + 4;
/** MP_REACH_NLRI without next hop and prefixes: a header of four octets, AFI, SAFI, next hop length, reserved. */
const REACH_HEAD = 4 + 5;
/** Longest prefix with its path identifier. */
const LONGEST_ENTRY = 21;

// Only one encoding runs at a time, so all groups share the buffers.
const scratch = new Uint8Array(SCRATCH);
const attributeBytes = new Uint8Array(LONGEST_ATTRIBUTES);

export class Packer {
  readonly #options: PackerOptions;
  readonly #rib: Rib;
  readonly #encoder: AttributeEncoder;
  /** Sets of at most this many octets always fit into a message. */
  readonly #surelyFits: number;
  #batch = new Batch();
  #at = 0;
  // Buckets of the current batch: parallel arrays with linked lists of entries.
  #next = new Int32Array(64);
  readonly #heads: number[] = [];
  readonly #tails: number[] = [];
  readonly #attributes: number[] = [];
  readonly #sources: number[] = [];

  constructor(options: PackerOptions, rib: Rib, encoder: AttributeEncoder) {
    this.#options = options;
    this.#rib = rib;
    this.#encoder = encoder;
    const room = options.maxMessageLength - FIXED - LONGEST_ENTRY - MOST_ADDED;
    this.#surelyFits = options.isFourOctetAs ? room : room >>> 1;
  }

  /** Whether an UPDATE with these attributes has room for any entry, with any added attribute. */
  surelyFits(attributes: number): boolean {
    return this.#rib.attributes.lengthOf(attributes) <= this.#surelyFits;
  }

  /** Whether an UPDATE with these attributes has room for the entry (RFC 4271 section 9.2). */
  fits(entry: number, attributes: number, source: number): boolean {
    if (this.surelyFits(attributes)) return true;
    return this.messageLength(entry, attributes, source) <= this.#options.maxMessageLength;
  }

  /** Octets of an UPDATE that announces this entry alone. */
  messageLength(entry: number, attributes: number, source: number): number {
    const nextHop = this.#encoder.nextHopLength(attributes, source);
    const isClassic = this.#options.family === 4 && nextHop === 4;
    const length = this.#encoder.write(attributes, source, isClassic, attributeBytes);
    return FIXED + length + (isClassic ? 0 : REACH_HEAD + nextHop) + this.#entryLength(entry);
  }

  /** UPDATEs for the entries: announced or withdrawn, as `state` says. */
  pack(entries: Int32Array, state: Entries): Batch {
    this.#begin();
    const withdrawn: number[] = [];
    const isMixed = this.#fillBuckets(entries, state, withdrawn);
    this.#withdraw(withdrawn);
    const order = this.#heads.map((_, bucket) => bucket);
    // Keep the routes of a source together, so that a member that is a source gets at most two parts.
    if (isMixed) order.sort((a, b) => this.#sources[a]! - this.#sources[b]!);
    for (const bucket of order) this.#announceOrWithdraw(entries, bucket);
    return this.#finish();
  }

  /** UPDATEs that withdraw the entries. */
  packWithdrawals(entries: readonly number[]): Batch {
    this.#begin();
    this.#withdraw(entries);
    return this.#finish();
  }

  #begin(): void {
    this.#batch = new Batch();
    this.#at = 0;
    this.#heads.length = 0;
    this.#tails.length = 0;
    this.#attributes.length = 0;
    this.#sources.length = 0;
  }

  /** True when there is more than one source. */
  #fillBuckets(entries: Int32Array, { sent, source }: Entries, withdrawn: number[]): boolean {
    if (this.#next.length < entries.length) this.#next = new Int32Array(entries.length * 2);
    const next = this.#next;
    const buckets = new Map<number, number>();
    let last = -1;
    let isMixed = false;
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]!;
      const attributes = sent[entry]!;
      if (attributes < 0) {
        withdrawn.push(entry);
        continue;
      }
      const from = source[entry]!;
      next[i] = -1;
      if (last < 0 || this.#attributes[last] !== attributes || this.#sources[last] !== from) {
        if (last >= 0 && this.#sources[last] !== from) isMixed = true;
        const key = attributes * 65536 + from;
        const existing = buckets.get(key);
        if (existing === undefined) {
          last = this.#heads.push(i) - 1;
          this.#tails.push(i);
          this.#attributes.push(attributes);
          this.#sources.push(from);
          buckets.set(key, last);
          continue;
        }
        last = existing;
      }
      next[this.#tails[last]!] = i;
      this.#tails[last] = i;
    }
    return isMixed;
  }

  /** Announces a bucket. When the encoder throws, it withdraws this bucket's routes and no others. */
  #announceOrWithdraw(entries: Int32Array, bucket: number): void {
    try {
      this.#announce(entries, bucket);
    } catch (error) {
      const broken: number[] = [];
      for (let item = this.#heads[bucket]!; item >= 0; item = this.#next[item]!) broken.push(entries[item]!);
      this.#batch.broken.push({ entries: broken, error });
      this.#withdraw(broken);
    }
  }

  #announce(entries: Int32Array, bucket: number): void {
    const { family, maxMessageLength } = this.#options;
    const attributes = this.#attributes[bucket]!;
    const source = this.#sources[bucket]!;
    const nextHopLength = this.#encoder.nextHopLength(attributes, source);
    const isClassic = family === 4 && nextHopLength === 4;
    const length = this.#encoder.write(attributes, source, isClassic, attributeBytes);
    const reachLength = isClassic ? 0 : REACH_HEAD + nextHopLength;
    const limit = maxMessageLength - FIXED - length - reachLength;
    let item = this.#heads[bucket]!;
    while (item >= 0) {
      this.#reserve(maxMessageLength);
      const start = this.#at;
      let at = start + FIXED;
      if (isClassic) at = putAttributes(length, at);
      else at = this.#reachHeader(at, this.#encoder.nextHop(attributes, source));
      const nlriAt = at;
      // The group never passes an entry that does not fit alone.
      do {
        at = this.#writeEntry(entries[item]!, at);
        item = this.#next[item]!;
      } while (item >= 0 && at - nlriAt + this.#entryLength(entries[item]!) <= limit);
      if (!isClassic) {
        patch16(start + FIXED + 2, at - start - FIXED - 4);
        at = putAttributes(length, at);
      }
      this.#header(start, at, 0, isClassic ? length : at - start - FIXED);
      this.#at = at;
      this.#batch.mark(source, this.#batch.slabs.length, start, at);
    }
  }

  #withdraw(entries: readonly number[]): void {
    const { family, maxMessageLength } = this.#options;
    for (let i = 0; i < entries.length; ) {
      this.#reserve(maxMessageLength);
      const start = this.#at;
      const limit = start + maxMessageLength - 2;
      // IPv4: after the header and the withdrawn length. MP: inside the attribute.
      let at = start + (family === 4 ? HEADER_LENGTH + 2 : FIXED + 7);
      const nlriAt = at;
      while (i < entries.length && at + this.#entryLength(entries[i]!) <= limit)
        at = this.#writeEntry(entries[i++]!, at);
      if (family === 4) {
        const octets = at - nlriAt;
        scratch[at++] = 0;
        scratch[at++] = 0;
        this.#header(start, at, octets, 0);
      } else {
        scratch[start + FIXED] = AttributeFlag.OPTIONAL | AttributeFlag.EXTENDED_LENGTH;
        scratch[start + FIXED + 1] = AttributeType.MP_UNREACH_NLRI;
        patch16(start + FIXED + 2, at - start - FIXED - 4);
        patch16(start + FIXED + 4, afiOf(family));
        scratch[start + FIXED + 6] = SAFI_UNICAST;
        this.#header(start, at, 0, at - start - FIXED);
      }
      this.#at = at;
    }
  }

  #reachHeader(start: number, nextHop: Uint8Array): number {
    let at = start;
    scratch[at++] = AttributeFlag.OPTIONAL | AttributeFlag.EXTENDED_LENGTH;
    scratch[at++] = AttributeType.MP_REACH_NLRI;
    at += 2;
    patch16(at, afiOf(this.#options.family));
    scratch[at + 2] = SAFI_UNICAST;
    scratch[at + 3] = nextHop.length;
    scratch.set(nextHop, at + 4);
    at += 4 + nextHop.length;
    scratch[at++] = 0;
    return at;
  }

  #entryLength(entry: number): number {
    const { prefixes, paths } = this.#rib;
    return this.#options.hasAddPath
      ? 4 + prefixes.wireLength(paths.prefix[entry]!)
      : prefixes.wireLength(entry);
  }

  #writeEntry(entry: number, at: number): number {
    const { prefixes, paths } = this.#rib;
    if (!this.#options.hasAddPath) return prefixes.write(entry, scratch, at);
    // RFC 7911: the sender chooses the identifier. The row is unique among all paths; 0 is not used.
    const pathId = entry + 1;
    scratch[at] = pathId >>> 24;
    scratch[at + 1] = pathId >>> 16;
    scratch[at + 2] = pathId >>> 8;
    scratch[at + 3] = pathId;
    return prefixes.write(paths.prefix[entry]!, scratch, at + 4);
  }

  #header(start: number, end: number, withdrawnLength: number, attributesLength: number): void {
    scratch.fill(0xff, start, start + 16);
    patch16(start + 16, end - start);
    scratch[start + 18] = MessageType.UPDATE;
    patch16(start + 19, withdrawnLength);
    // IPv4 withdrawals have already written the zero after the prefixes.
    if (withdrawnLength === 0) patch16(start + 21, attributesLength);
    this.#batch.messages++;
  }

  /** Makes room for a message of this length. */
  #reserve(octets: number): void {
    if (this.#at + octets > SCRATCH) this.#cut();
  }

  #cut(): void {
    if (this.#at === 0) return;
    // Copy the exact size, because the bytes may wait in the queue of a slow peer.
    this.#batch.slabs.push(scratch.slice(0, this.#at));
    this.#at = 0;
  }

  #finish(): Batch {
    this.#cut();
    return this.#batch;
  }
}

/** Copies the last encoded attributes. For a few octets a loop is faster than a view. */
function putAttributes(length: number, at: number): number {
  if (length > 256) scratch.set(attributeBytes.subarray(0, length), at);
  else for (let i = 0; i < length; i++) scratch[at + i] = attributeBytes[i]!;
  return at + length;
}

function patch16(at: number, value: number): void {
  scratch[at] = value >>> 8;
  scratch[at + 1] = value & 255;
}
