/**
 * Encodes changes of routes (struct rtmsg, linux/rtnetlink.h), with the fields and flags that iproute2 sends:
 *
 *     family u8 | prefix length u8 | source length u8 | tos u8 | table u8 | protocol u8 | scope u8 | type u8 | flags u32
 */
import type { Hop } from '../../../model/route.ts';
import type { RouteChange } from '../../change.ts';
import { NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST } from '../constants.ts';
import type { MessageWriter } from '../message-writer.ts';
import type { Refusal } from '../write-request.ts';
import { AF, RT_SCOPE, RT_TABLE_MAIN, RTA, RTM, RTN, RTNH_F_ONLINK } from './constants.ts';
import { type DeviceIndex, invalid, noDevice } from './refusal.ts';

/** Flags of a request that changes something, by verb. */
export const requestFlags = {
  add: NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
  replace: NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE,
  set: NLM_F_REQUEST | NLM_F_ACK,
  del: NLM_F_REQUEST | NLM_F_ACK,
} as const;

/** A change of a route, whose next hops can be an object of the kernel instead (`nhid`). */
export type RouteRequest = RouteChange & { readonly nextHopId?: number | undefined };

/** Appends a message. Returns why that is impossible, and then appends nothing. */
export function encodeRoute(
  writer: MessageWriter,
  change: RouteRequest,
  sequence: number,
  deviceIndex: DeviceIndex,
): Refusal | undefined {
  const { verb, destination, metric, source } = change;
  const slash = destination.indexOf('/');
  const length = prefixLength(destination, slash);
  if (length < 0) return invalid('prefix', destination);
  writer.begin(verb === 'del' ? RTM.DELROUTE : RTM.NEWROUTE, requestFlags[verb], sequence);
  writeHeader(writer, change, length);
  const size = writer.attributeAddress(RTA.DST, destination, slash < 0 ? destination.length : slash);
  const refusal =
    size === 0 || length > size * 8
      ? invalid('prefix', destination)
      : writeRest(writer, change, size, metric, source, deviceIndex);
  if (refusal) writer.drop();
  else if (!writer.end()) return { code: 'EMSGSIZE', message: 'too many next hops for a message' };
  return refusal;
}

function writeHeader(writer: MessageWriter, change: RouteRequest, length: number): void {
  const { verb, destination, type, protocol, hops, nextHopId } = change;
  const isV6 = destination.includes(':');
  const [hop] = hops;
  const isDelete = verb === 'del';
  const isUnicast = type === 'unicast';
  const isDirect = isUnicast && hops.length < 2 && hop?.gateway === undefined && nextHopId === undefined;
  const scope = isV6 ? RT_SCOPE.UNIVERSE : isDelete ? RT_SCOPE.NOWHERE : isDirect ? RT_SCOPE.LINK : 0;
  const isOnlink = isUnicast && !isDelete && hops.length === 1 && hop?.isOnlink;
  writer
    .u8(isV6 ? AF.INET6 : AF.INET)
    .u8(length)
    .u16(0)
    .u8(RT_TABLE_MAIN)
    .u8(protocol)
    .u8(scope)
    .u8(!isUnicast ? RTN.BLACKHOLE : isDelete ? RTN.UNSPEC : RTN.UNICAST)
    .u32(isOnlink ? RTNH_F_ONLINK : 0);
}

/** Writes the attributes after the destination, whose address has `size` bytes. */
function writeRest(
  writer: MessageWriter,
  { verb, type, hops, nextHopId }: RouteRequest,
  size: number,
  metric: number | undefined,
  source: string | undefined,
  deviceIndex: DeviceIndex,
): Refusal | undefined {
  if (metric !== undefined) writer.attributeU32(RTA.PRIORITY, metric);
  if (source !== undefined && writer.attributeAddress(RTA.PREFSRC, source) !== size)
    return invalid('address', source);
  if (type === 'blackhole' || verb === 'del') return undefined;
  if (nextHopId !== undefined) {
    writer.attributeU32(RTA.NH_ID, nextHopId);
    return undefined;
  }
  const [hop] = hops;
  return hops.length === 1 && hop
    ? writeHop(writer, hop, size, deviceIndex)
    : writeHops(writer, hops, size, deviceIndex);
}

function writeHop(
  writer: MessageWriter,
  { gateway, device }: Hop,
  size: number,
  deviceIndex: DeviceIndex,
): Refusal | undefined {
  if (gateway !== undefined && !writeGateway(writer, gateway, size)) return invalid('gateway', gateway);
  if (device === undefined) return undefined;
  const index = deviceIndex(device);
  if (index === undefined) return noDevice(device);
  writer.attributeU32(RTA.OIF, index);
  return undefined;
}

/** Writes next hops (struct rtnexthop): length u16 | flags u8 | weight - 1 u8 | interface index i32 | attributes. */
function writeHops(
  writer: MessageWriter,
  hops: readonly Hop[],
  size: number,
  deviceIndex: DeviceIndex,
): Refusal | undefined {
  if (hops.length === 0) return undefined;
  const attribute = writer.openAttribute(RTA.MULTIPATH);
  for (const { gateway, device, isOnlink } of hops) {
    const index = device === undefined ? 0 : deviceIndex(device);
    if (index === undefined) return noDevice(device ?? '');
    const at = writer.length;
    writer
      .u16(0)
      .u8(isOnlink ? RTNH_F_ONLINK : 0)
      .u8(0)
      .u32(index);
    if (gateway !== undefined && !writeGateway(writer, gateway, size)) return invalid('gateway', gateway);
    writer.patchU16(at, writer.length - at);
  }
  writer.closeAttribute(attribute);
  return undefined;
}

/** Writes RTA_GATEWAY, or RTA_VIA (family u16 | address) for an IPv6 gateway of an IPv4 route (RFC 8950). */
function writeGateway(writer: MessageWriter, gateway: string, size: number): boolean {
  if (!(size === 4 && gateway.includes(':'))) return writer.attributeAddress(RTA.GATEWAY, gateway) === size;
  const at = writer.openAttribute(RTA.VIA);
  writer.u16(AF.INET6);
  const isAddress = writer.address(gateway) === 16;
  writer.closeAttribute(at);
  return isAddress;
}

/** Returns the number after the slash, or the family's bits without a slash; -1 when it is not a number up to 128. */
export function prefixLength(text: string, slash: number): number {
  if (slash < 0) return text.includes(':') ? 128 : 32;
  let length = 0;
  for (let i = slash + 1; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9 || i > slash + 3) return -1;
    length = length * 10 + digit;
  }
  return slash + 1 === text.length || length > 128 ? -1 : length;
}
