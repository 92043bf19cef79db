/**
 * Decodes path attributes (RFC 4271 section 4.3) and reports their faults (RFC 7606).
 *
 *   +- flags (8) -+- type (8) -+- length (8 or 16) -+- value -+
 *
 * A fault has a verdict. `discard` removes the attribute. `withdraw` withdraws the routes of the UPDATE, or resets the
 * session when it announces none (section 5.2). Errors that always reset the session are thrown as WireError: an MP
 * attribute that occurs twice or cannot be parsed, and an unknown well-known attribute.
 */
import { formatBytes } from '../../lib/cidr.ts';
import { type AsPath, decodeAsPath, mergeAs4Path, pathLength } from './as-path.ts';
import { AS_TRANS, AttributeFlag, AttributeType, ErrorCode, SegmentType, UpdateSubcode } from './iana.ts';
import { Reader, ShortRead } from './reader.ts';
import { WireError } from './wire-error.ts';
import { Writer } from './writer.ts';

export interface UnknownAttribute {
  readonly flags: number;
  readonly type: number;
  readonly value: Uint8Array;
}

export type LargeCommunity = readonly [number, number, number];

/** Attributes of a route. Addresses are canonical text, AS numbers 4-octet. */
export interface PathAttributes {
  readonly origin: number;
  readonly asPath: AsPath;
  /** NEXT_HOP, or the global next hop of MP_REACH_NLRI. */
  readonly nextHop: string;
  readonly med?: number | undefined;
  readonly localPref?: number | undefined;
  readonly atomicAggregate?: boolean | undefined;
  readonly aggregator?: { readonly asNumber: number; readonly address: string } | undefined;
  /** RFC 1997, 32 bits each. */
  readonly communities?: readonly number[] | undefined;
  /** RFC 4360, 16 hex digits each. */
  readonly extendedCommunities?: readonly string[] | undefined;
  /** RFC 8092. */
  readonly largeCommunities?: readonly LargeCommunity[] | undefined;
  readonly originatorId?: string | undefined;
  readonly clusterList?: readonly string[] | undefined;
  /** ONLY_TO_CUSTOMER: the AS that set it (RFC 9234). */
  readonly onlyToCustomer?: number | undefined;
  /** Types of known optional transitive attributes that were received with the partial bit. */
  readonly partial?: readonly number[] | undefined;
  /** Unknown optional transitive attributes, which are passed on unchanged. */
  readonly unknown?: readonly UnknownAttribute[] | undefined;
}

/** The negotiated values that change the encoding of attributes. */
export interface AttributeContext {
  readonly isFourOctetAs: boolean;
  readonly isIbgp: boolean;
}

export interface Fault {
  readonly verdict: 'discard' | 'withdraw';
  readonly reason: string;
  /** Subcode and data of the NOTIFICATION if the fault resets the session (RFC 4271 section 6.3). */
  readonly subcode?: number;
  readonly data?: Uint8Array;
}

export interface DecodedAttributes {
  readonly attributes: Partial<PathAttributes>;
  /** Values of MP_REACH_NLRI and MP_UNREACH_NLRI, as views into the message. */
  readonly reach: Uint8Array | undefined;
  readonly unreach: Uint8Array | undefined;
  /** Whether there were attributes other than MP_REACH_NLRI and MP_UNREACH_NLRI, even malformed ones. */
  readonly hasOthers: boolean;
  readonly faults: readonly Fault[];
}

const { OPTIONAL, TRANSITIVE, PARTIAL, EXTENDED_LENGTH } = AttributeFlag;
const WELL_KNOWN = TRANSITIVE;
/** Octets of one segment with one AS number. */
const AS4_PATH_MINIMUM = 6;

/** Flags that a known attribute must have, apart from the partial bit. */
export const expectedFlags: Readonly<Record<number, number>> = {
  [AttributeType.ORIGIN]: WELL_KNOWN,
  [AttributeType.AS_PATH]: WELL_KNOWN,
  [AttributeType.NEXT_HOP]: WELL_KNOWN,
  [AttributeType.MULTI_EXIT_DISC]: OPTIONAL,
  [AttributeType.LOCAL_PREF]: WELL_KNOWN,
  [AttributeType.ATOMIC_AGGREGATE]: WELL_KNOWN,
  [AttributeType.AGGREGATOR]: OPTIONAL | TRANSITIVE,
  [AttributeType.COMMUNITIES]: OPTIONAL | TRANSITIVE,
  [AttributeType.ORIGINATOR_ID]: OPTIONAL,
  [AttributeType.CLUSTER_LIST]: OPTIONAL,
  [AttributeType.MP_REACH_NLRI]: OPTIONAL,
  [AttributeType.MP_UNREACH_NLRI]: OPTIONAL,
  [AttributeType.EXTENDED_COMMUNITIES]: OPTIONAL | TRANSITIVE,
  [AttributeType.AS4_PATH]: OPTIONAL | TRANSITIVE,
  [AttributeType.AS4_AGGREGATOR]: OPTIONAL | TRANSITIVE,
  [AttributeType.LARGE_COMMUNITIES]: OPTIONAL | TRANSITIVE,
  [AttributeType.ONLY_TO_CUSTOMER]: OPTIONAL | TRANSITIVE,
};

type Mutable = { -readonly [K in keyof PathAttributes]?: PathAttributes[K] };

/** Reads the attribute list to its end. */
export function decodeAttributes(reader: Reader, context: AttributeContext): DecodedAttributes {
  const faults: Fault[] = [];
  const seen = new Set<number>();
  const attributes: Mutable = {};
  const as4: { path?: AsPath; aggregator?: PathAttributes['aggregator'] } = {};
  let reach: Uint8Array | undefined;
  let unreach: Uint8Array | undefined;
  let isCut = false;
  while (reader.left > 0) {
    const header = readHeader(reader);
    if (!header) {
      // RFC 7606 section 4: withdraw the routes and keep the session, because the enclosing lengths are consistent.
      isCut = true;
      faults.push({
        verdict: 'withdraw',
        reason: 'the attribute list ends inside an attribute',
        subcode: UpdateSubcode.MALFORMED_ATTRIBUTE_LIST,
      });
      break;
    }
    const { type, value } = header;
    const isMultiprotocol = type === AttributeType.MP_REACH_NLRI || type === AttributeType.MP_UNREACH_NLRI;
    if (seen.has(type)) {
      if (isMultiprotocol) {
        throw new WireError(
          ErrorCode.UPDATE_MESSAGE,
          UpdateSubcode.MALFORMED_ATTRIBUTE_LIST,
          `attribute ${type} occurs twice`,
        );
      }
      faults.push({ verdict: 'discard', reason: `attribute ${type} occurs twice` });
      continue;
    }
    seen.add(type);
    const fault =
      flagsFault(header) ?? (isMultiprotocol ? undefined : decodeOne(attributes, as4, header, context));
    if (fault) faults.push({ ...fault, data: fault.data ?? attributeBytes(header) });
    // Even with wrong flags, because the prefixes must be withdrawn.
    if (type === AttributeType.MP_REACH_NLRI) reach = value;
    else if (type === AttributeType.MP_UNREACH_NLRI) unreach = value;
  }
  mergeAs4(attributes, as4, context);
  const multiprotocol = Number(reach !== undefined) + Number(unreach !== undefined);
  return { attributes, reach, unreach, hasOthers: isCut || seen.size > multiprotocol, faults };
}

interface AttributeHeader {
  readonly flags: number;
  readonly type: number;
  readonly value: Uint8Array;
}

/** Returns the received attribute as data for a NOTIFICATION (RFC 4271 section 6.3). */
function attributeBytes({ flags, type, value }: AttributeHeader): Uint8Array {
  const writer = new Writer().u8(flags).u8(type);
  return (flags & EXTENDED_LENGTH ? writer.u16(value.length) : writer.u8(value.length)).bytes(value).finish();
}

/** RFC 7606 section 3(c): wrong Optional or Transitive bit for the type. The other bits are ignored. */
function flagsFault({ flags, type }: AttributeHeader): Fault | undefined {
  const expected = expectedFlags[type];
  if (expected === undefined || (flags & (OPTIONAL | TRANSITIVE)) === expected) return undefined;
  return {
    verdict: 'withdraw',
    reason: `attribute ${type} with flags 0x${flags.toString(16)}`,
    subcode: UpdateSubcode.ATTRIBUTE_FLAGS,
  };
}

function readHeader(reader: Reader): AttributeHeader | undefined {
  try {
    const flags = reader.u8();
    const type = reader.u8();
    const length = flags & EXTENDED_LENGTH ? reader.u16() : reader.u8();
    return { flags, type, value: reader.bytes(length) };
  } catch (error) {
    if (error instanceof ShortRead) return undefined;
    throw error;
  }
}

/** Decodes one attribute into `into`, or returns its fault. */
function decodeOne(
  into: Mutable,
  as4: { path?: AsPath; aggregator?: PathAttributes['aggregator'] },
  header: AttributeHeader,
  context: AttributeContext,
): Fault | undefined {
  const { flags, type, value } = header;
  const expected = expectedFlags[type];
  if (expected === undefined) return keepUnknown(into, header);
  const wrongLength = (verdict: Fault['verdict']): Fault => ({
    verdict,
    reason: `attribute ${type} of ${value.length} octets`,
    subcode: UpdateSubcode.ATTRIBUTE_LENGTH,
  });
  const isMultiple = (size: number) => value.length > 0 && value.length % size === 0;
  if (flags & PARTIAL && expected === (OPTIONAL | TRANSITIVE)) into.partial = [...(into.partial ?? []), type];
  const reader = new Reader(value);
  switch (type) {
    case AttributeType.ORIGIN:
      if (value.length !== 1) return wrongLength('withdraw');
      if (value[0]! > 2)
        return { verdict: 'withdraw', reason: `ORIGIN ${value[0]}`, subcode: UpdateSubcode.INVALID_ORIGIN };
      into.origin = value[0]!;
      return undefined;
    case AttributeType.AS_PATH:
      return decodePath(into, reader, context);
    case AttributeType.NEXT_HOP:
      if (value.length !== 4) return wrongLength('withdraw');
      into.nextHop = formatBytes(value);
      return undefined;
    case AttributeType.MULTI_EXIT_DISC:
      if (value.length !== 4) return wrongLength('withdraw');
      into.med = reader.u32();
      return undefined;
    case AttributeType.LOCAL_PREF:
      if (!context.isIbgp) return discarded('LOCAL_PREF from an external peer');
      if (value.length !== 4) return wrongLength('withdraw');
      into.localPref = reader.u32();
      return undefined;
    case AttributeType.ATOMIC_AGGREGATE:
      if (value.length !== 0) return wrongLength('discard');
      into.atomicAggregate = true;
      return undefined;
    case AttributeType.AGGREGATOR:
      if (value.length !== (context.isFourOctetAs ? 8 : 6)) return wrongLength('discard');
      // RFC 7607: AS 0 is reserved.
      if ((context.isFourOctetAs ? new Reader(value).u32() : new Reader(value).u16()) === 0)
        return discarded('AGGREGATOR with AS 0');
      into.aggregator = {
        asNumber: context.isFourOctetAs ? reader.u32() : reader.u16(),
        address: formatBytes(reader.rest()),
      };
      return undefined;
    case AttributeType.AS4_PATH:
      return context.isFourOctetAs ? notBetweenNew(type) : decodeAs4Path(as4, value);
    case AttributeType.AS4_AGGREGATOR:
      if (context.isFourOctetAs) return notBetweenNew(type);
      if (value.length !== 8) return wrongLength('discard');
      if (new Reader(value).u32() === 0) return discarded('AS4_AGGREGATOR with AS 0');
      as4.aggregator = { asNumber: reader.u32(), address: formatBytes(reader.rest()) };
      return undefined;
    case AttributeType.COMMUNITIES:
      if (!isMultiple(4)) return wrongLength('withdraw');
      into.communities = readAll(reader, () => reader.u32());
      return undefined;
    case AttributeType.EXTENDED_COMMUNITIES:
      if (!isMultiple(8)) return wrongLength('withdraw');
      into.extendedCommunities = readAll(reader, () => Buffer.from(reader.bytes(8)).toString('hex'));
      return undefined;
    case AttributeType.LARGE_COMMUNITIES:
      if (!isMultiple(12)) return wrongLength('withdraw');
      into.largeCommunities = withoutRepeats(
        readAll(reader, () => [reader.u32(), reader.u32(), reader.u32()] as const),
      );
      return undefined;
    case AttributeType.ONLY_TO_CUSTOMER:
      // RFC 9234 section 5.
      if (value.length !== 4) return wrongLength('withdraw');
      into.onlyToCustomer = reader.u32();
      return undefined;
    case AttributeType.ORIGINATOR_ID:
      if (!context.isIbgp) return discarded('ORIGINATOR_ID from an external peer');
      if (value.length !== 4) return wrongLength('withdraw');
      into.originatorId = formatBytes(value);
      return undefined;
    case AttributeType.CLUSTER_LIST:
      if (!context.isIbgp) return discarded('CLUSTER_LIST from an external peer');
      if (!isMultiple(4)) return wrongLength('withdraw');
      into.clusterList = readAll(reader, () => formatBytes(reader.bytes(4)));
      return undefined;
    default:
      return undefined;
  }
}

function readAll<T>(reader: Reader, read: () => T): T[] {
  const values: T[] = [];
  while (reader.left > 0) values.push(read());
  return values;
}

/** RFC 8092 section 3: repeated values are removed silently. */
function withoutRepeats(values: readonly LargeCommunity[]): LargeCommunity[] {
  return [...new Map(values.map((value) => [value.join(':'), value])).values()];
}

function decodePath(into: Mutable, reader: Reader, context: AttributeContext): Fault | undefined {
  try {
    into.asPath = decodeAsPath(reader, context.isFourOctetAs);
    return undefined;
  } catch (error) {
    if (!(error instanceof ShortRead || error instanceof RangeError)) throw error;
    return {
      verdict: 'withdraw',
      reason: `AS_PATH: ${error.message}`,
      subcode: UpdateSubcode.MALFORMED_AS_PATH,
    };
  }
}

/** RFC 6793 section 6: discards a malformed AS4_PATH, and confederation segments in a well-formed one. */
function decodeAs4Path(as4: { path?: AsPath }, value: Uint8Array): Fault | undefined {
  if (value.length < AS4_PATH_MINIMUM) return discarded(`AS4_PATH of ${value.length} octets`);
  try {
    const path = decodeAsPath(new Reader(value), true);
    const segments = path.filter(({ type }) => type <= SegmentType.AS_SEQUENCE);
    if (segments.some(({ asNumbers }) => asNumbers.includes(0)))
      return discarded('AS4_PATH with AS 0 (RFC 7607)');
    as4.path = segments;
    return segments.length === path.length ? undefined : discarded('confederation segments in the AS4_PATH');
  } catch (error) {
    if (!(error instanceof ShortRead || error instanceof RangeError)) throw error;
    return discarded(`AS4_PATH: ${error.message}`);
  }
}

function discarded(reason: string): Fault {
  return { verdict: 'discard', reason };
}

/** RFC 6793 section 4.1: between speakers with 4-octet AS numbers, AS4_PATH and AS4_AGGREGATOR are discarded. */
function notBetweenNew(type: number): Fault {
  return discarded(`attribute ${type} from a peer with 4-octet AS numbers`);
}

function keepUnknown(into: Mutable, header: AttributeHeader): Fault | undefined {
  const { flags, type, value } = header;
  if (!(flags & OPTIONAL)) {
    // RFC 4271 section 6.3, which RFC 7606 does not change.
    throw new WireError(
      ErrorCode.UPDATE_MESSAGE,
      UpdateSubcode.UNRECOGNIZED_WELL_KNOWN,
      `unknown well-known attribute ${type}`,
      attributeBytes(header),
    );
  }
  // RFC 4271 section 5: pass it on with the partial bit if transitive, else ignore it.
  if (flags & TRANSITIVE) {
    const kept = { flags: OPTIONAL | TRANSITIVE | PARTIAL, type, value: value.slice() };
    into.unknown = [...(into.unknown ?? []), kept];
  }
  return undefined;
}

/** RFC 6793 section 4.2.3. */
function mergeAs4(
  into: Mutable,
  as4: { path?: AsPath; aggregator?: PathAttributes['aggregator'] },
  context: AttributeContext,
) {
  if (context.isFourOctetAs) return;
  if (into.aggregator && as4.aggregator) {
    // If AGGREGATOR is not AS_TRANS, an old speaker wrote it, and both AS4 attributes are ignored.
    if (into.aggregator.asNumber !== AS_TRANS) return;
    into.aggregator = as4.aggregator;
  }
  if (into.asPath && as4.path && pathLength(as4.path) > 0) into.asPath = mergeAs4Path(into.asPath, as4.path);
}
