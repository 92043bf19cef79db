/** Decodes routes (struct rtmsg, linux/rtnetlink.h) into the values that the dataplane compares. */
import { type Family, formatBytes } from '../../../lib/cidr.ts';
import type { Hop, KernelRoute } from '../../../model/route.ts';
import { type Attributes, readAttributes } from '../attributes.ts';
import { readU16, readU32 } from '../bytes.ts';
import { isMalformed, type Malformed } from '../message.ts';
import { AF, RT_TABLE_MAIN, RTA, RTM_F_CLONED, RTNH_F_ONLINK } from './constants.ts';
import { addressOf, type DeviceName, deviceName, familyOfNumber, prefixOf } from './fields.ts';

export interface RouteRecord {
  readonly family: Family;
  readonly table: number;
  /** Whether it is a cached copy, such as an IPv6 exception for path MTU. Dumps for people leave these out. */
  readonly isCloned: boolean;
  /** Whether it is only for packets with a type of service or from a source prefix. Another route can differ in this only. */
  readonly isSelective: boolean;
  /** The object that holds its next hops. */
  readonly nextHopId: number | undefined;
  readonly route: KernelRoute;
}

const HEADER_LENGTH = 12;
const HOP_LENGTH = 8;

/** Names of RTN_* by number (linux/rtnetlink.h). */
const typeNames = [
  'unspec',
  'unicast',
  'local',
  'broadcast',
  'anycast',
  'multicast',
  'blackhole',
  'unreachable',
  'prohibit',
  'throw',
  'nat',
];

/**
 * Decodes the body of RTM_NEWROUTE or RTM_DELROUTE. Undefined for a family other than IPv4 and IPv6. All routes have
 * the same fields, undefined where the kernel has none, because V8 reads such objects fastest.
 */
export function decodeRoute(body: Uint8Array, nameOf: DeviceName): RouteRecord | Malformed | undefined {
  const attributes = readAttributes(body, HEADER_LENGTH);
  if (isMalformed(attributes)) return attributes;
  const family = familyOfNumber(body[0]);
  if (family === undefined) return undefined;
  const destination = destinationOf(body[1] ?? 0, attributes, family);
  if (destination === undefined) return { malformed: 'destination of a route' };
  const type = typeNames[body[7] ?? 0] ?? String(body[7]);
  const hops = type === 'blackhole' ? [] : hopsOf(body, attributes, family, nameOf);
  if (!Array.isArray(hops)) return hops;
  return {
    family,
    table: attributes.u32(RTA.TABLE) ?? body[4] ?? 0,
    isCloned: (readU32(body, 8) & RTM_F_CLONED) !== 0,
    isSelective: (body[2] ?? 0) > 0 || (body[3] ?? 0) > 0,
    nextHopId: attributes.u32(RTA.NH_ID),
    route: {
      destination,
      type,
      protocol: body[5] ?? 0,
      metric: attributes.u32(RTA.PRIORITY),
      source: addressOf(attributes, RTA.PREFSRC, family),
      hops,
    },
  };
}

/** Whether a route belongs to the main table and is one that our changes can name. */
export function isInMainTable({ table, isCloned, isSelective }: Omit<RouteRecord, 'route'>): boolean {
  return table === RT_TABLE_MAIN && !isCloned && !isSelective;
}

/** Returns the canonical prefix. A route without destination is a default route. */
function destinationOf(length: number, attributes: Attributes, family: Family): string | undefined {
  if (attributes.has(RTA.DST)) return prefixOf(attributes, RTA.DST, length, family);
  return length === 0 ? (family === 4 ? '0.0.0.0/0' : '::/0') : undefined;
}

function hopsOf(
  body: Uint8Array,
  attributes: Attributes,
  family: Family,
  nameOf: DeviceName,
): Hop[] | Malformed {
  const multipath = attributes.bytes(RTA.MULTIPATH);
  if (multipath) return multipathHops(multipath, family, nameOf);
  const index = attributes.u32(RTA.OIF);
  return [hopOf(attributes, family, index, readU32(body, 8), nameOf)];
}

/** Decodes struct rtnexthop: length u16 | flags u8 | weight - 1 u8 | interface index i32 | attributes. */
function multipathHops(bytes: Uint8Array, family: Family, nameOf: DeviceName): Hop[] | Malformed {
  const hops: Hop[] = [];
  let at = 0;
  while (at < bytes.length) {
    const length = readU16(bytes, at);
    if (length < HOP_LENGTH || length > bytes.length - at)
      return { malformed: `next hop of length ${length}` };
    const hop = bytes.subarray(at, at + length);
    const attributes = readAttributes(hop, HOP_LENGTH);
    if (isMalformed(attributes)) return attributes;
    hops.push(hopOf(attributes, family, readU32(hop, 4) || undefined, hop[2] ?? 0, nameOf));
    at += (length + 3) & ~3;
  }
  return hops;
}

function hopOf(
  attributes: Attributes,
  family: Family,
  index: number | undefined,
  flags: number,
  nameOf: DeviceName,
): Hop {
  return {
    gateway: addressOf(attributes, RTA.GATEWAY, family) ?? viaOf(attributes),
    device: index === undefined ? undefined : deviceName(index, nameOf),
    isOnlink: (flags & RTNH_F_ONLINK) !== 0 ? true : undefined,
  };
}

/** Returns the gateway of another family (RFC 8950): family u16 | address. */
function viaOf(attributes: Attributes): string | undefined {
  const via = attributes.bytes(RTA.VIA);
  if (!via) return undefined;
  const size = readU16(via, 0) === AF.INET6 ? 16 : 4;
  return via.length < 2 + size ? undefined : formatBytes(via.subarray(2, 2 + size));
}
