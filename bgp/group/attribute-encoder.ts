/**
 * Attributes as a group of peers gets to see them, from normal form to bytes: what RFC 4271 section 5.1,
 * RFC 4456 section 8 and RFC 9234 section 5 add, take away or change.
 */
import type { AttributeTable } from '../rib/attribute-table.ts';
import { LOCAL, type SourceTable } from '../rib/source.ts';
import { decodeAttributes, type PathAttributes } from '../wire/attributes.ts';
import { encodeAttributes } from '../wire/encode-attributes.ts';
import { AttributeFlag, AttributeType, SegmentType } from '../wire/iana.ts';
import { Reader } from '../wire/reader.ts';
import { Writer } from '../wire/writer.ts';
import type { GroupSpec } from './spec.ts';

const { OPTIONAL, TRANSITIVE, EXTENDED_LENGTH } = AttributeFlag;
const T = AttributeType;

export class AttributeEncoder {
  readonly #spec: GroupSpec;
  readonly #attributes: AttributeTable;
  readonly #sources: SourceTable;
  readonly #self: Uint8Array;
  #out: Uint8Array = new Uint8Array(0);
  #at = 0;

  constructor(spec: GroupSpec, attributes: AttributeTable, sources: SourceTable) {
    this.#spec = spec;
    this.#attributes = attributes;
    this.#sources = sources;
    this.#self = new Uint8Array(Buffer.from(spec.selfNextHop, 'hex'));
  }

  /** The next hop to announce: 4, 16 or 32 octets; none when we have no address to put there. */
  nextHop(row: number, source: number): Uint8Array {
    const { isIbgp, nextHopMode } = this.#spec;
    const received = this.#attributes.nextHop(row);
    const isSelf =
      source === LOCAL ||
      received.length === 0 ||
      isLinkLocal(received) ||
      nextHopMode === 'Self' ||
      (nextHopMode === 'Auto' && !isIbgp);
    if (isSelf) return this.#self;
    return received.length === 32 ? received.subarray(0, 16) : received;
  }

  /** Writes every attribute but the MP ones to `out`; returns their length. */
  write(row: number, source: number, hasNextHop: boolean, out: Uint8Array): number {
    this.#out = out;
    this.#at = 0;
    this.#writeAll(row, source, hasNextHop);
    if (this.#spec.isFourOctetAs) return this.#at;
    const narrow = narrowed(out.subarray(0, this.#at), this.#spec.isIbgp, hasNextHop);
    out.set(narrow);
    return narrow.length;
  }

  #writeAll(row: number, source: number, hasNextHop: boolean): void {
    const { isIbgp, localAs, addsOtc } = this.#spec;
    const page = this.#attributes.pageOf(row);
    const start = this.#attributes.offsetOf(row);
    const end = start + this.#attributes.lengthOf(row);
    const from = this.#sources.at(source);
    const isReflected = isIbgp && from.isIbgp;
    let isNextHopDue = hasNextHop;
    let isLocalPrefDue = isIbgp;
    let isOriginatorDue = isReflected;
    let isClusterDue = isReflected;
    let isOtcDue = addsOtc;
    let isPathDue = !isIbgp;
    /** Writes what belongs in front of an attribute of this type. */
    const putDue = (type: number) => {
      if (isPathDue && type > T.AS_PATH) {
        isPathDue = false;
        this.#putPath(page, 0, 0, localAs);
      }
      if (isNextHopDue && type > T.NEXT_HOP) {
        isNextHopDue = false;
        this.#putNextHop(this.nextHop(row, source));
      }
      if (isLocalPrefDue && type > T.LOCAL_PREF) {
        isLocalPrefDue = false;
        this.#putU32(TRANSITIVE, T.LOCAL_PREF, this.#spec.localPref);
      }
      if (isOriginatorDue && type > T.ORIGINATOR_ID) {
        isOriginatorDue = false;
        this.#putU32(OPTIONAL, T.ORIGINATOR_ID, from.identifier);
      }
      if (isClusterDue && type > T.CLUSTER_LIST) {
        isClusterDue = false;
        this.#putU32(OPTIONAL, T.CLUSTER_LIST, this.#spec.clusterId);
      }
      if (isOtcDue && type > T.ONLY_TO_CUSTOMER) {
        isOtcDue = false;
        this.#putU32(OPTIONAL | TRANSITIVE, T.ONLY_TO_CUSTOMER, localAs);
      }
    };
    for (let at = start + 1 + page[start]!; at < end; ) {
      const flags = page[at]!;
      const type = page[at + 1]!;
      const header = flags & EXTENDED_LENGTH ? 4 : 3;
      const length = header === 4 ? (page[at + 2]! << 8) | page[at + 3]! : page[at + 2]!;
      const valueAt = at + header;
      const next = valueAt + length;
      putDue(type);
      switch (type) {
        case T.AS_PATH:
          isPathDue = false;
          if (isIbgp) this.#putRaw(page, at, next);
          else this.#putPath(page, valueAt, length, localAs);
          break;
        case T.MULTI_EXIT_DISC:
          // RFC 4271 section 5.1.4: not to a third AS.
          if (isIbgp || source === LOCAL) this.#putRaw(page, at, next);
          break;
        case T.LOCAL_PREF:
          isLocalPrefDue = false;
          if (isIbgp) this.#putRaw(page, at, next);
          break;
        case T.ORIGINATOR_ID:
          isOriginatorDue = false;
          if (isIbgp) this.#putRaw(page, at, next);
          break;
        case T.CLUSTER_LIST:
          if (isReflected) this.#putClusters(page, valueAt, length);
          else if (isIbgp) this.#putRaw(page, at, next);
          isClusterDue = false;
          break;
        case T.ONLY_TO_CUSTOMER:
          isOtcDue = false;
          this.#putRaw(page, at, next);
          break;
        default:
          this.#putRaw(page, at, next);
      }
      at = next;
    }
    putDue(256);
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

  #putNextHop(nextHop: Uint8Array): void {
    this.#putHeader(TRANSITIVE, T.NEXT_HOP, 4);
    this.#putRaw(nextHop, 0, 4);
  }

  /** RFC 4271 section 5.1.2: our AS in front. */
  #putPath(page: Uint8Array, at: number, length: number, localAs: number): void {
    const fits = length > 0 && page[at] === SegmentType.AS_SEQUENCE && page[at + 1]! < 255;
    this.#putHeader(TRANSITIVE, T.AS_PATH, length + (fits ? 4 : 6));
    this.#out[this.#at++] = SegmentType.AS_SEQUENCE;
    this.#out[this.#at++] = fits ? page[at + 1]! + 1 : 1;
    this.#word(localAs);
    this.#putRaw(page, fits ? at + 2 : at, at + length);
  }

  /** RFC 4456 section 8: our cluster ID in front. */
  #putClusters(page: Uint8Array, at: number, length: number): void {
    this.#putHeader(OPTIONAL, T.CLUSTER_LIST, length + 4);
    this.#word(this.#spec.clusterId);
    this.#putRaw(page, at, at + length);
  }
}

/** The same attributes for a peer that knows 2-octet AS numbers alone (RFC 6793). */
function narrowed(bytes: Uint8Array, isIbgp: boolean, hasNextHop: boolean): Uint8Array {
  const { attributes } = decodeAttributes(new Reader(bytes), { isFourOctetAs: true, isIbgp });
  const writer = new Writer();
  encodeAttributes(attributes as PathAttributes, writer, { isFourOctetAs: false, isIbgp, hasNextHop });
  return writer.finish();
}

/** A next hop that means nothing beyond its link. */
function isLinkLocal(nextHop: Uint8Array): boolean {
  return nextHop.length === 16 && nextHop[0] === 0xfe && (nextHop[1]! & 0xc0) === 0x80;
}
