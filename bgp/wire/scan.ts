/**
 * The fast path for UPDATEs: one pass over the bytes, without objects. It accepts common attribute lists: known
 * attributes in ascending order, all well-formed. Any other list goes the slow path through attributes.ts, which
 * implements RFC 7606.
 *
 * The result is the normal form of an attribute list, and the values that the decision process compares. The normal
 * form omits NEXT_HOP and the MP attributes. It has 4-octet AS numbers, the flags of each type and short headers.
 */
import { AttributeFlag, AttributeType, MAX_ATTRIBUTES_LENGTH, SegmentType } from './iana.ts';

/** The values of a session that a scan depends on. */
export interface ScanContext {
  readonly isIbgp: boolean;
  readonly isFourOctetAs: boolean;
  readonly localAs: number;
  /** Our other AS number; equal to `localAs` without one. */
  readonly globalAs: number;
}

/** Facts about an attribute list, as bits of `flags`. */
export const AttributeFact = {
  MED: 1,
  LOCAL_PREF: 2,
  NO_EXPORT: 4,
  NO_ADVERTISE: 8,
  GRACEFUL_SHUTDOWN: 16,
  LLGR_STALE: 32,
  NO_LLGR: 64,
  /** The AS_PATH has an AS_SET or a confederation segment. */
  SETS: 128,
  /** ONLY_TO_CUSTOMER (RFC 9234). */
  OTC: 256,
  AS_ZERO: 512,
  ORIGIN: 1024,
  AS_PATH: 2048,
} as const;

/** Well-known communities: RFC 1997, 8326, 9494. */
export const Community = {
  GRACEFUL_SHUTDOWN: 0xffff0000,
  LLGR_STALE: 0xffff0006,
  NO_LLGR: 0xffff0007,
  BLACKHOLE: 0xffff029a,
  NO_EXPORT: 0xffffff01,
  NO_ADVERTISE: 0xffffff02,
  NO_EXPORT_SUBCONFED: 0xffffff03,
} as const;

const { OPTIONAL, TRANSITIVE, PARTIAL, EXTENDED_LENGTH } = AttributeFlag;
const KIND = OPTIONAL | TRANSITIVE;
/** Octets of a large community (RFC 8092). */
const LARGE_COMMUNITY = 12;
/** Maximum number of large communities to compare pairwise. */
const MOST_COMPARED = 32;

/** The result of a scan. The object is reused, so only one scan runs at a time. */
export class AttributeScan {
  /** The normal form, from 0 to `length`. */
  readonly bytes = new Uint8Array(MAX_ATTRIBUTES_LENGTH);
  length = 0;
  hash = 0;
  flags = 0;
  origin = 0;
  med = 0;
  localPref = 0;
  pathLength = 0;
  /** Leftmost AS of a leading AS_SEQUENCE, else 0. */
  neighbourAs = 0;
  /** How often our AS numbers are in the path. */
  ownAsCount = 0;
  originatorId = 0;
  /** Value of ONLY_TO_CUSTOMER; 0 when absent. */
  onlyToCustomer = 0;
  clusterCount = 0;
  /** Offset of the CLUSTER_LIST value in `bytes`. */
  clusterAt = 0;
  /** Value of NEXT_HOP in the scanned message; 0 octets when absent. */
  nextHopAt = 0;
  nextHopLength = 0;
  /** Value of MP_REACH_NLRI and MP_UNREACH_NLRI; -1 when absent. */
  reachAt = -1;
  reachEnd = -1;
  unreachAt = -1;
  unreachEnd = -1;
  /** Number of attributes. */
  count = 0;

  /**
   * Scans an attribute list. False when it needs the slow path; the fields are then invalid. `isOwn`: this program
   * encoded the list, so unknown attributes are accepted unchanged.
   */
  scan(source: Uint8Array, start: number, end: number, context: ScanContext, isOwn = false): boolean {
    this.#reset();
    if (end - start > MAX_ATTRIBUTES_LENGTH) return false;
    let at = start;
    let previous = -1;
    while (at < end) {
      if (end - at < 3) return false;
      const flags = source[at]!;
      const type = source[at + 1]!;
      let valueAt = at + 3;
      let length = source[at + 2]!;
      if (flags & EXTENDED_LENGTH) {
        if (end - at < 4) return false;
        length = (length << 8) | source[at + 3]!;
        valueAt++;
      }
      at = valueAt + length;
      if (at > end) return false;
      this.count++;
      if (type === AttributeType.MP_REACH_NLRI || type === AttributeType.MP_UNREACH_NLRI) {
        if ((flags & KIND) !== OPTIONAL) return false;
        if (!this.#multiprotocol(type, valueAt, at)) return false;
        continue;
      }
      if (type <= previous) return false;
      previous = type;
      if (!this.#attribute(source, flags, type, valueAt, length, context, isOwn)) return false;
    }
    this.#finish();
    return true;
  }

  #reset(): void {
    this.length = 0;
    this.flags = 0;
    this.origin = 0;
    this.med = 0;
    this.localPref = 0;
    this.pathLength = 0;
    this.neighbourAs = 0;
    this.ownAsCount = 0;
    this.originatorId = 0;
    this.onlyToCustomer = 0;
    this.clusterCount = 0;
    this.nextHopLength = 0;
    this.reachAt = -1;
    this.unreachAt = -1;
    this.count = 0;
  }

  #multiprotocol(type: number, at: number, end: number): boolean {
    if (type === AttributeType.MP_REACH_NLRI) {
      if (this.reachAt >= 0) return false;
      this.reachAt = at;
      this.reachEnd = end;
    } else {
      if (this.unreachAt >= 0) return false;
      this.unreachAt = at;
      this.unreachEnd = end;
    }
    return true;
  }

  #attribute(
    source: Uint8Array,
    flags: number,
    type: number,
    at: number,
    length: number,
    context: ScanContext,
    isOwn: boolean,
  ): boolean {
    const kind = flags & KIND;
    switch (type) {
      case AttributeType.ORIGIN:
        if (kind !== TRANSITIVE || length !== 1 || source[at]! > 2) return false;
        this.origin = source[at]!;
        this.flags |= AttributeFact.ORIGIN;
        break;
      case AttributeType.AS_PATH:
        if (kind !== TRANSITIVE || !context.isFourOctetAs) return false;
        if (!this.#path(source, at, at + length, context.localAs, context.globalAs)) return false;
        this.flags |= AttributeFact.AS_PATH;
        break;
      case AttributeType.NEXT_HOP:
        if (kind !== TRANSITIVE || length !== 4) return false;
        this.nextHopAt = at;
        this.nextHopLength = 4;
        return true;
      case AttributeType.MULTI_EXIT_DISC:
        if (kind !== OPTIONAL || length !== 4) return false;
        this.med = u32(source, at);
        this.flags |= AttributeFact.MED;
        break;
      case AttributeType.LOCAL_PREF:
        if (kind !== TRANSITIVE || length !== 4 || !context.isIbgp) return false;
        this.localPref = u32(source, at);
        this.flags |= AttributeFact.LOCAL_PREF;
        break;
      case AttributeType.ATOMIC_AGGREGATE:
        if (kind !== TRANSITIVE || length !== 0) return false;
        break;
      case AttributeType.AGGREGATOR:
        if (kind !== KIND || length !== 8) return false;
        // The slow path discards AS 0 (RFC 7607).
        if (u32(source, at) === 0 && !isOwn) return false;
        break;
      case AttributeType.COMMUNITIES:
        if (kind !== KIND || length === 0 || length % 4 !== 0) return false;
        this.#communities(source, at, at + length);
        break;
      case AttributeType.ORIGINATOR_ID:
        if (kind !== OPTIONAL || length !== 4 || !context.isIbgp) return false;
        this.originatorId = u32(source, at);
        break;
      case AttributeType.CLUSTER_LIST:
        if (kind !== OPTIONAL || length === 0 || length % 4 !== 0 || !context.isIbgp) return false;
        this.clusterCount = length >>> 2;
        this.clusterAt = this.length + (length > 255 ? 4 : 3);
        break;
      case AttributeType.EXTENDED_COMMUNITIES:
        if (kind !== KIND || length === 0 || length % 8 !== 0) return false;
        break;
      case AttributeType.LARGE_COMMUNITIES:
        if (kind !== KIND || length === 0 || length % 12 !== 0) return false;
        if (!isOwn && mayRepeat(source, at, length)) return false;
        break;
      case AttributeType.ONLY_TO_CUSTOMER:
        if (kind !== KIND || length !== 4) return false;
        this.flags |= AttributeFact.OTC;
        this.onlyToCustomer = u32(source, at);
        break;
      default:
        if (type === AttributeType.AS4_PATH || type === AttributeType.AS4_AGGREGATOR) return false;
        if (!isOwn && (kind !== KIND || !(flags & PARTIAL))) return false;
    }
    // RFC 4271 section 4.3: the flags of the type, the partial bit only for optional transitive attributes, and the
    // four low bits zero.
    this.#copy(source, kind === KIND ? kind | (flags & PARTIAL) : kind, type, at, length);
    return true;
  }

  #copy(source: Uint8Array, flags: number, type: number, from: number, length: number): void {
    const { bytes } = this;
    let at = this.length;
    if (length > 255) {
      bytes[at++] = flags | EXTENDED_LENGTH;
      bytes[at++] = type;
      bytes[at++] = length >>> 8;
    } else {
      bytes[at++] = flags;
      bytes[at++] = type;
    }
    bytes[at++] = length;
    for (let i = 0; i < length; i++) bytes[at + i] = source[from + i]!;
    this.length = at + length;
  }

  #path(source: Uint8Array, start: number, end: number, localAs: number, globalAs: number): boolean {
    let at = start;
    while (at < end) {
      if (end - at < 2) return false;
      const type = source[at]!;
      const count = source[at + 1]!;
      at += 2;
      if (type < SegmentType.AS_SET || type > SegmentType.CONFED_SET || count === 0) return false;
      if (end - at < count * 4) return false;
      if (type === SegmentType.AS_SEQUENCE) {
        if (at === start + 2) this.neighbourAs = u32(source, at);
        this.pathLength += count;
      } else {
        if (type === SegmentType.AS_SET) this.pathLength++;
        this.flags |= AttributeFact.SETS;
      }
      for (const last = at + count * 4; at < last; at += 4) {
        const as = u32(source, at);
        if (as === localAs || as === globalAs) this.ownAsCount++;
        if (as === 0) this.flags |= AttributeFact.AS_ZERO;
      }
    }
    return true;
  }

  #communities(source: Uint8Array, start: number, end: number): void {
    for (let at = start; at < end; at += 4) {
      if (source[at] !== 0xff || source[at + 1] !== 0xff) continue;
      switch (u32(source, at)) {
        case Community.NO_EXPORT:
        case Community.NO_EXPORT_SUBCONFED:
          this.flags |= AttributeFact.NO_EXPORT;
          break;
        case Community.NO_ADVERTISE:
          this.flags |= AttributeFact.NO_ADVERTISE;
          break;
        case Community.GRACEFUL_SHUTDOWN:
          this.flags |= AttributeFact.GRACEFUL_SHUTDOWN;
          break;
        case Community.LLGR_STALE:
          this.flags |= AttributeFact.LLGR_STALE;
          break;
        case Community.NO_LLGR:
          this.flags |= AttributeFact.NO_LLGR;
          break;
        default:
          break;
      }
    }
  }

  #finish(): void {
    let hash = 0x811c9dc5;
    for (let i = 0; i < this.length; i++) hash = Math.imul(hash ^ this.bytes[i]!, 0x01000193);
    this.hash = hash;
  }
}

/** Whether large communities may repeat (RFC 8092 section 3). True for many, which the slow path compares. */
function mayRepeat(source: Uint8Array, start: number, length: number): boolean {
  if (length > MOST_COMPARED * LARGE_COMMUNITY) return true;
  const end = start + length;
  for (let at = start + LARGE_COMMUNITY; at < end; at += LARGE_COMMUNITY)
    for (let other = start; other < at; other += LARGE_COMMUNITY)
      if (isSameCommunity(source, at, other)) return true;
  return false;
}

function isSameCommunity(source: Uint8Array, one: number, other: number): boolean {
  for (let i = LARGE_COMMUNITY - 1; i >= 0; i--) if (source[one + i] !== source[other + i]) return false;
  return true;
}

function u32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
