/**
 * Encodes attributes for a group of peers, from normal form to bytes. RFC 4271 section 5.1, RFC 4360 section 6,
 * RFC 4456 section 8 and RFC 9234 section 5 say what to add, remove or change. Between clients of a route server only
 * OTC is added (RFC 7947 section 2.2).
 */
import type { AttributeTable } from '../rib/attribute-table.ts';
import { LOCAL, type SourceTable } from '../rib/source.ts';
import { AS_TRANS, AttributeFlag, AttributeType, SegmentType } from '../wire/iana.ts';
import type { GroupSpec } from './spec.ts';

const { OPTIONAL, TRANSITIVE, PARTIAL, EXTENDED_LENGTH } = AttributeFlag;
const T = AttributeType;

/**
 * Maximum growth from a set in the table to the attributes of a message, with MP_REACH_NLRI without prefixes: what #putDue
 * writes, and longer headers. With 2-octet AS numbers AS4_PATH is extra, at most as long as the AS_PATH in the table.
 */
export const MOST_ADDED = 128;
/** Room for the longest set in the table, AS4_PATH and the added attributes. */
export const LONGEST_ATTRIBUTES = 2 * (1 << 16) + MOST_ADDED;

/** Attributes that the encoder adds to a set without them, in type order. */
const Due = {
  AS_PATH: 1,
  NEXT_HOP: 2,
  LOCAL_PREF: 4,
  ORIGINATOR_ID: 8,
  CLUSTER_LIST: 16,
  AS4_PATH: 32,
  AS4_AGGREGATOR: 64,
  ONLY_TO_CUSTOMER: 128,
} as const;
const dueNames = Object.keys(Due) as (keyof typeof Due)[];
/** Greater than every attribute type. */
const BEHIND_ALL = 256;
/** Bits of Due that belong before an attribute, by its type. */
const dueBefore = Uint8Array.from({ length: BEHIND_ALL + 1 }, (_, type) =>
  dueNames.reduce((bits, name) => (T[name] < type ? bits | Due[name] : bits), 0),
);

export class AttributeEncoder {
  readonly #spec: GroupSpec;
  readonly #attributes: AttributeTable;
  readonly #sources: SourceTable;
  readonly #self: Uint8Array;
  /** Announce our own next hop for every route. */
  readonly #isAlwaysSelf: boolean;
  readonly #dueAlways: number;
  #out: Uint8Array = new Uint8Array(0);
  #at = 0;
  /** Bits of Due: attributes still to be added to the current set. */
  #due = 0;
  /** Whether to prepend our AS to the AS_PATH of the current set. */
  #prepends = false;
  /** AS_PATH and AGGREGATOR in the table, when AS4_PATH and AS4_AGGREGATOR are due. */
  #pathAt = 0;
  #pathLength = 0;
  #aggregatorAt = 0;

  constructor(spec: GroupSpec, attributes: AttributeTable, sources: SourceTable) {
    this.#spec = spec;
    this.#attributes = attributes;
    this.#sources = sources;
    this.#self = new Uint8Array(Buffer.from(spec.selfNextHop, 'hex'));
    this.#isAlwaysSelf = spec.nextHopMode === 'Self' || (spec.nextHopMode === 'Auto' && !spec.isIbgp);
    this.#dueAlways =
      (spec.isIbgp ? Due.LOCAL_PREF : Due.AS_PATH) | (spec.addsOtc ? Due.ONLY_TO_CUSTOMER : 0);
  }

  /** The next hop to announce: 4 or 16 octets, or 0 when this speaker has no suitable address. */
  nextHop(row: number, source: number): Uint8Array {
    if (this.isSelf(row, source)) return this.#self;
    const received = this.#attributes.nextHop(row);
    return received.length === 32 ? received.subarray(0, 16) : received;
  }

  /** Length of the next hop to announce, octets. Called for each changed route. */
  nextHopLength(row: number, source: number): number {
    if (source === LOCAL || (this.#isAlwaysSelf && !this.#keepsNextHop(source))) return this.#self.length;
    const page = this.#attributes.pageOf(row);
    const at = this.#attributes.offsetOf(row);
    const length = page[at]!;
    if (length === 0 || isLinkLocalAt(page, at)) return this.#self.length;
    return Math.min(length, 16);
  }

  /** Whether to announce our own next hop: for local routes, at the AS boundary, and for a link-local one (RFC 2545 3). */
  isSelf(row: number, source: number): boolean {
    if (source === LOCAL || (this.#isAlwaysSelf && !this.#keepsNextHop(source))) return true;
    return this.#attributes.pageOf(row)[this.#attributes.offsetOf(row)] === 0 || this.isLinkLocal(row);
  }

  /** Whether both the peers and the source are clients of this route server (RFC 7947 section 2.2). */
  isTransparent(source: number): boolean {
    return this.#spec.isRouteServer && (this.#sources.at(source).isRouteServerClient ?? false);
  }

  /** RFC 7947 section 2.2.1, unless nextHopMode says otherwise. */
  #keepsNextHop(source: number): boolean {
    return this.#spec.nextHopMode === 'Auto' && this.isTransparent(source);
  }

  /** Whether the next hop of a set is valid only on the link where it was learned. */
  isLinkLocal(row: number): boolean {
    return isLinkLocalAt(this.#attributes.pageOf(row), this.#attributes.offsetOf(row));
  }

  /**
   * Writes all attributes except the MP ones to `out`, which has room for LONGEST_ATTRIBUTES. Returns their length. The
   * bytes are not valid when the length exceeds a message.
   */
  write(row: number, source: number, hasNextHop: boolean, out: Uint8Array): number {
    this.#out = out;
    this.#at = 0;
    this.#writeAll(row, source, hasNextHop);
    return this.#at;
  }

  #writeAll(row: number, source: number, hasNextHop: boolean): void {
    const { isIbgp, isFourOctetAs } = this.#spec;
    const page = this.#attributes.pageOf(row);
    const start = this.#attributes.offsetOf(row);
    const end = start + this.#attributes.lengthOf(row);
    const isReflected = isIbgp && this.#sources.at(source).isIbgp;
    const isTransparent = this.isTransparent(source);
    this.#prepends = !isIbgp && !isTransparent;
    this.#due =
      this.#dueAlways |
      (hasNextHop ? Due.NEXT_HOP : 0) |
      (isReflected ? Due.ORIGINATOR_ID | Due.CLUSTER_LIST : 0);
    for (let at = start + 1 + page[start]!; at < end; ) {
      const flags = page[at]!;
      const type = page[at + 1]!;
      const header = flags & EXTENDED_LENGTH ? 4 : 3;
      const length = header === 4 ? (page[at + 2]! << 8) | page[at + 3]! : page[at + 2]!;
      const valueAt = at + header;
      const next = valueAt + length;
      if (this.#due & dueBefore[type]!) this.#putDue(type, row, source);
      switch (type) {
        case T.AS_PATH:
          this.#due &= ~Due.AS_PATH;
          if (!this.#prepends && isFourOctetAs) this.#putRaw(page, at, next);
          else this.#putPath(page, valueAt, length);
          if (!isFourOctetAs) this.#noteWide(page, valueAt, length);
          break;
        case T.AGGREGATOR:
          if (isFourOctetAs) {
            this.#putRaw(page, at, next);
            break;
          }
          if (isWide(page, valueAt)) {
            this.#aggregatorAt = valueAt;
            this.#due |= Due.AS4_AGGREGATOR;
          }
          this.#putHeader(OPTIONAL | TRANSITIVE | (flags & PARTIAL), T.AGGREGATOR, 6);
          this.#putAs(page, valueAt);
          this.#putRaw(page, valueAt + 4, next);
          break;
        case T.MULTI_EXIT_DISC:
          // RFC 4271 section 5.1.4: do not propagate MED to a third AS. A route server does not count as one (RFC 7947 section 2.2.3).
          if (isIbgp || isTransparent || source === LOCAL) this.#putRaw(page, at, next);
          break;
        case T.LOCAL_PREF:
          this.#due &= ~Due.LOCAL_PREF;
          if (isIbgp) this.#putRaw(page, at, next);
          break;
        case T.ORIGINATOR_ID:
          this.#due &= ~Due.ORIGINATOR_ID;
          if (isIbgp) this.#putRaw(page, at, next);
          break;
        case T.CLUSTER_LIST:
          if (isReflected) this.#putClusters(page, valueAt, length);
          else if (isIbgp) this.#putRaw(page, at, next);
          this.#due &= ~Due.CLUSTER_LIST;
          break;
        case T.EXTENDED_COMMUNITIES:
          if (isIbgp || isTransparent) this.#putRaw(page, at, next);
          else this.#putTransitive(page, flags, valueAt, length);
          break;
        case T.ONLY_TO_CUSTOMER:
          this.#due &= ~Due.ONLY_TO_CUSTOMER;
          this.#putRaw(page, at, next);
          break;
        default:
          this.#putRaw(page, at, next);
      }
      at = next;
    }
    if (this.#due) this.#putDue(BEHIND_ALL, row, source);
  }

  /** Writes the attributes that are due before this type. */
  #putDue(type: number, row: number, source: number): void {
    const page = this.#attributes.pageOf(row);
    let due = this.#due & dueBefore[type]!;
    if (due & Due.AS_PATH) {
      this.#putPath(page, 0, 0);
      if (!this.#spec.isFourOctetAs) this.#noteWide(page, 0, 0);
      due = this.#due & dueBefore[type]!;
    }
    this.#due &= ~due;
    if (due & Due.NEXT_HOP) this.#putNextHop(row, source);
    if (due & Due.LOCAL_PREF) this.#putU32(TRANSITIVE, T.LOCAL_PREF, this.#spec.localPref);
    if (due & Due.ORIGINATOR_ID) this.#putU32(OPTIONAL, T.ORIGINATOR_ID, this.#sources.at(source).identifier);
    if (due & Due.CLUSTER_LIST) this.#putU32(OPTIONAL, T.CLUSTER_LIST, this.#spec.clusterId);
    if (due & Due.AS4_PATH) this.#putAs4Path(page, this.#pathAt, this.#pathLength);
    if (due & Due.AS4_AGGREGATOR) {
      this.#putHeader(OPTIONAL | TRANSITIVE, T.AS4_AGGREGATOR, 8);
      this.#putRaw(page, this.#aggregatorAt, this.#aggregatorAt + 8);
    }
    if (due & Due.ONLY_TO_CUSTOMER)
      this.#putU32(OPTIONAL | TRANSITIVE, T.ONLY_TO_CUSTOMER, this.#spec.localAs);
  }

  /** RFC 6793: AS4_PATH is due when AS_PATH has numbers that do not fit into two octets. */
  #noteWide(page: Uint8Array, at: number, length: number): void {
    if ((!this.#prepends || this.#spec.localAs <= 0xffff) && !hasWideAs(page, at, length)) return;
    this.#pathAt = at;
    this.#pathLength = length;
    this.#due |= Due.AS4_PATH;
  }

  #putRaw(page: Uint8Array, from: number, to: number): void {
    const out = this.#out;
    let at = this.#at;
    for (let i = from; i < to; i++) out[at++] = page[i]!;
    this.#at = at;
  }

  #putHeader(flags: number, type: number, length: number): void {
    const out = this.#out;
    if (length > 255) {
      out[this.#at++] = flags | EXTENDED_LENGTH;
      out[this.#at++] = type;
      out[this.#at++] = length >>> 8;
    } else {
      out[this.#at++] = flags;
      out[this.#at++] = type;
    }
    out[this.#at++] = length & 255;
  }

  #putU32(flags: number, type: number, value: number): void {
    this.#putHeader(flags, type, 4);
    this.#word(value);
  }

  #word(value: number): void {
    const out = this.#out;
    out[this.#at++] = value >>> 24;
    out[this.#at++] = value >>> 16;
    out[this.#at++] = value >>> 8;
    out[this.#at++] = value;
  }

  /** Writes a next hop of four octets. */
  #putNextHop(row: number, source: number): void {
    this.#putHeader(TRANSITIVE, T.NEXT_HOP, 4);
    if (this.isSelf(row, source)) {
      this.#putRaw(this.#self, 0, 4);
      return;
    }
    const at = this.#attributes.offsetOf(row) + 1;
    this.#putRaw(this.#attributes.pageOf(row), at, at + 4);
  }

  /** Writes AS_PATH in the session's width. Prepends our AS where it is due (RFC 4271 section 5.1.2). */
  #putPath(page: Uint8Array, at: number, length: number): void {
    const { isFourOctetAs, localAs } = this.#spec;
    const width = isFourOctetAs ? 4 : 2;
    const segments = countSegments(page, at, length);
    const octets = segments * 2 + ((length - segments * 2) / 4) * width;
    if (!this.#prepends) {
      this.#putHeader(TRANSITIVE, T.AS_PATH, octets);
      this.#putSegments(page, at, at + length);
      return;
    }
    const fits = joinsFirst(page, at, length);
    this.#putHeader(TRANSITIVE, T.AS_PATH, octets + width + (fits ? 0 : 2));
    this.#out[this.#at++] = SegmentType.AS_SEQUENCE;
    this.#out[this.#at++] = fits ? page[at + 1]! + 1 : 1;
    if (isFourOctetAs) this.#word(localAs);
    else this.#half(localAs > 0xffff ? AS_TRANS : localAs);
    if (fits) this.#putNumbers(page, at + 2, page[at + 1]!);
    this.#putSegments(page, fits ? at + 2 + page[at + 1]! * 4 : at, at + length);
  }

  /** RFC 6793 section 4.2.2: the four-octet path, for speakers behind a two-octet peer. */
  #putAs4Path(page: Uint8Array, at: number, length: number): void {
    const { localAs } = this.#spec;
    const fits = joinsFirst(page, at, length);
    this.#putHeader(OPTIONAL | TRANSITIVE, T.AS4_PATH, length + (this.#prepends ? (fits ? 4 : 6) : 0));
    let from = at;
    if (this.#prepends) {
      this.#out[this.#at++] = SegmentType.AS_SEQUENCE;
      this.#out[this.#at++] = fits ? page[at + 1]! + 1 : 1;
      this.#word(localAs);
      if (fits) from += 2;
    }
    this.#putRaw(page, from, at + length);
  }

  /** Writes segments of the table in the session's width. */
  #putSegments(page: Uint8Array, from: number, to: number): void {
    if (this.#spec.isFourOctetAs) {
      this.#putRaw(page, from, to);
      return;
    }
    for (let at = from; at < to; ) {
      const count = page[at + 1]!;
      this.#out[this.#at++] = page[at]!;
      this.#out[this.#at++] = count;
      this.#putNumbers(page, at + 2, count);
      at += 2 + count * 4;
    }
  }

  #putNumbers(page: Uint8Array, at: number, count: number): void {
    if (this.#spec.isFourOctetAs) this.#putRaw(page, at, at + count * 4);
    else for (let i = 0; i < count; i++) this.#putAs(page, at + i * 4);
  }

  /** Writes an AS number in two octets. */
  #putAs(page: Uint8Array, at: number): void {
    this.#half(isWide(page, at) ? AS_TRANS : (page[at + 2]! << 8) | page[at + 3]!);
  }

  #half(value: number): void {
    this.#out[this.#at++] = value >>> 8;
    this.#out[this.#at++] = value;
  }

  /** RFC 4360 section 6: writes the transitive extended communities only. */
  #putTransitive(page: Uint8Array, flags: number, start: number, length: number): void {
    const end = start + length;
    let octets = 0;
    for (let at = start; at < end; at += 8) if (isTransitive(page, at)) octets += 8;
    if (octets === 0) return;
    this.#putHeader(OPTIONAL | TRANSITIVE | (flags & PARTIAL), T.EXTENDED_COMMUNITIES, octets);
    for (let at = start; at < end; at += 8) if (isTransitive(page, at)) this.#putRaw(page, at, at + 8);
  }

  /** RFC 4456 section 8: prepends our cluster ID. */
  #putClusters(page: Uint8Array, at: number, length: number): void {
    this.#putHeader(OPTIONAL, T.CLUSTER_LIST, length + 4);
    this.#word(this.#spec.clusterId);
    this.#putRaw(page, at, at + length);
  }
}

/** Whether the next hop whose length is at `at` of a page is a single link-local address. */
function isLinkLocalAt(page: Uint8Array, at: number): boolean {
  return page[at] === 16 && page[at + 1] === 0xfe && (page[at + 2]! & 0xc0) === 0x80;
}

/** Whether the extended community at `at` may cross the border of an AS: the T bit of its type is clear (RFC 4360). */
function isTransitive(page: Uint8Array, at: number): boolean {
  return (page[at]! & 0x40) === 0;
}

/** Whether an AS number of four octets does not fit into two. */
function isWide(page: Uint8Array, at: number): boolean {
  return page[at] !== 0 || page[at + 1] !== 0;
}

function hasWideAs(page: Uint8Array, start: number, length: number): boolean {
  for (let at = start; at < start + length; ) {
    const end = at + 2 + page[at + 1]! * 4;
    for (at += 2; at < end; at += 4) if (isWide(page, at)) return true;
  }
  return false;
}

function countSegments(page: Uint8Array, start: number, length: number): number {
  let count = 0;
  for (let at = start; at < start + length; at += 2 + page[at + 1]! * 4) count++;
  return count;
}

/** Whether another AS number fits into the first segment, which counts in one octet. */
function joinsFirst(page: Uint8Array, at: number, length: number): boolean {
  return length > 0 && page[at] === SegmentType.AS_SEQUENCE && page[at + 1]! < 255;
}
