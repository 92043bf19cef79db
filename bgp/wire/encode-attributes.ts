/** Encodes path attributes (RFC 4271 section 4.3). attributes.ts decodes them. */
import { addressBytes, parseAddress } from '../../lib/cidr.ts';
import { encodeAsPath } from './as-path.ts';
import { type AttributeContext, expectedFlags, type PathAttributes } from './attributes.ts';
import {
  AS_TRANS,
  AttributeFlag,
  AttributeType,
  MAX_ATTRIBUTES_LENGTH,
  SAFI_UNICAST,
  SegmentType,
} from './iana.ts';
import type { Reach, Unreach } from './multiprotocol.ts';
import { afiOf, encodeNlri } from './nlri.ts';
import { Writer } from './writer.ts';

const { OPTIONAL, PARTIAL, EXTENDED_LENGTH } = AttributeFlag;

/**
 * Writes attributes in type order, with NEXT_HOP only if `hasNextHop`. Returns their length, octets. Above
 * MAX_ATTRIBUTES_LENGTH they fit into no UPDATE, and nothing is written.
 */
export function encodeAttributes(
  attributes: PathAttributes,
  writer: Writer,
  context: AttributeContext & { readonly hasNextHop: boolean },
): number {
  const parts: { flags: number; type: number; value: Uint8Array }[] = [...(attributes.unknown ?? [])];
  const put = (type: number, write: (value: Writer) => void) => {
    const value = new Writer();
    write(value);
    // RFC 4271 section 5: once an AS has set the partial bit, no other AS clears it.
    const partial = attributes.partial?.includes(type) ? PARTIAL : 0;
    parts.push({ flags: expectedFlags[type]! | partial, type, value: value.finish() });
  };
  const { aggregator, communities, extendedCommunities, largeCommunities, clusterList, originatorId } =
    attributes;
  put(AttributeType.ORIGIN, (value) => value.u8(attributes.origin));
  put(AttributeType.AS_PATH, (value) => encodeAsPath(attributes.asPath, value, context.isFourOctetAs));
  if (context.hasNextHop) put(AttributeType.NEXT_HOP, (value) => putAddress(value, attributes.nextHop));
  if (attributes.med !== undefined) put(AttributeType.MULTI_EXIT_DISC, (value) => value.u32(attributes.med!));
  if (attributes.localPref !== undefined)
    put(AttributeType.LOCAL_PREF, (value) => value.u32(attributes.localPref!));
  if (attributes.atomicAggregate) put(AttributeType.ATOMIC_AGGREGATE, () => {});
  if (aggregator) {
    put(AttributeType.AGGREGATOR, (value) => {
      if (context.isFourOctetAs) value.u32(aggregator.asNumber);
      else value.u16(aggregator.asNumber > 0xffff ? AS_TRANS : aggregator.asNumber);
      putAddress(value, aggregator.address);
    });
  }
  if (communities)
    put(AttributeType.COMMUNITIES, (value) => communities.forEach((community) => void value.u32(community)));
  if (originatorId) put(AttributeType.ORIGINATOR_ID, (value) => putAddress(value, originatorId));
  if (clusterList)
    put(AttributeType.CLUSTER_LIST, (value) => clusterList.forEach((id) => void putAddress(value, id)));
  if (extendedCommunities) {
    put(AttributeType.EXTENDED_COMMUNITIES, (value) =>
      extendedCommunities.forEach((hex) => void value.bytes(Buffer.from(hex, 'hex'))),
    );
  }
  if (!context.isFourOctetAs) encodeAs4(attributes, put);
  if (largeCommunities) {
    put(AttributeType.LARGE_COMMUNITIES, (value) =>
      largeCommunities.forEach(([a, b, c]) => void value.u32(a).u32(b).u32(c)),
    );
  }
  const { onlyToCustomer } = attributes;
  if (onlyToCustomer !== undefined) put(AttributeType.ONLY_TO_CUSTOMER, (value) => value.u32(onlyToCustomer));
  parts.sort((a, b) => a.type - b.type);
  const octets = parts.reduce((sum, { value }) => sum + headerLength(value) + value.length, 0);
  if (octets <= MAX_ATTRIBUTES_LENGTH)
    for (const { flags, type, value } of parts) putAttribute(writer, flags, type, value);
  return octets;
}

/** RFC 6793 section 4.2.2: adds AS4_PATH and AS4_AGGREGATOR when an AS number needs four octets. */
function encodeAs4(
  attributes: PathAttributes,
  put: (type: number, write: (value: Writer) => void) => void,
): void {
  if (attributes.asPath.some(({ asNumbers }) => asNumbers.some((as) => as > 0xffff))) {
    // Section 3: AS4_PATH must not contain confederation segments.
    const path = attributes.asPath.filter(({ type }) => type <= SegmentType.AS_SEQUENCE);
    put(AttributeType.AS4_PATH, (value) => encodeAsPath(path, value, true));
  }
  const { aggregator } = attributes;
  if (aggregator && aggregator.asNumber > 0xffff) {
    put(AttributeType.AS4_AGGREGATOR, (value) =>
      putAddress(value.u32(aggregator.asNumber), aggregator.address),
    );
  }
}

/** Writes MP_REACH_NLRI for prefixes of one family. */
export function encodeReach({ family, nextHop, linkLocal, routes }: Reach, writer: Writer): void {
  const value = new Writer().u16(afiOf(family)).u8(SAFI_UNICAST);
  const hops = [nextHop, ...(linkLocal ? [linkLocal] : [])].map((hop) => addressBytes(parseAddress(hop)!));
  value.u8(hops.reduce((octets, hop) => octets + hop.length, 0));
  for (const hop of hops) value.bytes(hop);
  value.u8(0);
  for (const route of routes) encodeNlri(route, value);
  putAttribute(writer, OPTIONAL, AttributeType.MP_REACH_NLRI, value.finish());
}

export function encodeUnreach({ family, routes }: Unreach, writer: Writer): void {
  const value = new Writer().u16(afiOf(family)).u8(SAFI_UNICAST);
  for (const route of routes) encodeNlri(route, value);
  putAttribute(writer, OPTIONAL, AttributeType.MP_UNREACH_NLRI, value.finish());
}

function putAddress(writer: Writer, address: string): Writer {
  return writer.bytes(addressBytes(parseAddress(address)!));
}

/** Octets of flags, type and length (RFC 4271 section 4.3). */
function headerLength(value: Uint8Array): number {
  return value.length > 255 ? 4 : 3;
}

function putAttribute(writer: Writer, flags: number, type: number, value: Uint8Array): void {
  if (value.length > 255)
    writer
      .u8(flags | EXTENDED_LENGTH)
      .u8(type)
      .u16(value.length);
  else
    writer
      .u8(flags & ~EXTENDED_LENGTH)
      .u8(type)
      .u8(value.length);
  writer.bytes(value);
}
