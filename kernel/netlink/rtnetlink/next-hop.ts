/**
 * Next-hop objects (struct nhmsg, linux/nexthop.h), which many routes can share by their number:
 *
 *     family u8 | scope u8 | protocol u8 | padding | flags u32
 */
import { readAttributes } from '../attributes.ts';
import { readU32 } from '../bytes.ts';
import { isMalformed, type Malformed } from '../message.ts';
import type { MessageWriter } from '../message-writer.ts';
import type { Refusal } from '../write-request.ts';
import { AF, NHA, RTM, RTNH_F_ONLINK } from './constants.ts';
import { requestFlags } from './encode-route.ts';
import { anyAddress, type DeviceName, deviceName } from './fields.ts';
import { type DeviceIndex, invalid, noDevice } from './refusal.ts';

export interface NextHop {
  /** Number of the object, from 1. */
  readonly id: number;
  /** Protocol number (linux/rtnetlink.h RTPROT_*). */
  readonly protocol: number;
  readonly target: NextHopTarget;
}

export type NextHopTarget =
  | { readonly type: 'blackhole' }
  /** Packets are spread over other objects; weights are 1 to 256. */
  | { readonly type: 'group'; readonly members: readonly { readonly id: number; readonly weight: number }[] }
  | {
      readonly type: 'hop';
      readonly gateway: string | undefined;
      readonly device: string | undefined;
      readonly isOnlink?: boolean;
      /** Used by forwarding entries, not by routes. Has no device. */
      readonly isForForwarding?: boolean;
    };

const HEADER_LENGTH = 8;
/** Size of struct nexthop_grp: id u32 | weight - 1 u8 | high byte of the weight u8 | padding. */
const MEMBER_LENGTH = 8;

/** Appends a message. Returns why that is impossible, and then appends nothing. */
export function encodeNextHop(
  writer: MessageWriter,
  verb: 'add' | 'replace' | 'del',
  { id, protocol, target }: NextHop,
  sequence: number,
  deviceIndex: DeviceIndex,
): Refusal | undefined {
  writer.begin(verb === 'del' ? RTM.DELNEXTHOP : RTM.NEWNEXTHOP, requestFlags[verb], sequence);
  const isOnlink = verb !== 'del' && target.type === 'hop' && target.isOnlink;
  writer
    .u8(verb === 'del' ? AF.UNSPEC : familyNumber(target))
    .u8(0)
    .u8(verb === 'del' ? 0 : protocol)
    .u8(0)
    .u32(isOnlink ? RTNH_F_ONLINK : 0);
  writer.attributeU32(NHA.ID, id);
  const refusal = verb === 'del' ? undefined : writeTarget(writer, target, deviceIndex);
  if (refusal) writer.drop();
  else if (!writer.end()) return { code: 'EMSGSIZE', message: 'too many members for a message' };
  return refusal;
}

/** The kernel refuses a group with a family, and wants one of a hop without a gateway. */
function familyNumber(target: NextHopTarget): number {
  if (target.type === 'group') return AF.UNSPEC;
  return target.type === 'hop' && target.gateway?.includes(':') ? AF.INET6 : AF.INET;
}

function writeTarget(
  writer: MessageWriter,
  target: NextHopTarget,
  deviceIndex: DeviceIndex,
): Refusal | undefined {
  if (target.type === 'blackhole') {
    writer.closeAttribute(writer.openAttribute(NHA.BLACKHOLE));
    return undefined;
  }
  if (target.type === 'group') {
    const at = writer.openAttribute(NHA.GROUP);
    for (const { id, weight } of target.members)
      writer
        .u32(id)
        .u8((weight - 1) & 255)
        .u8((weight - 1) >> 8)
        .u16(0);
    writer.closeAttribute(at);
    return undefined;
  }
  const { gateway, device, isForForwarding } = target;
  if (gateway !== undefined && writer.attributeAddress(NHA.GATEWAY, gateway) === 0)
    return invalid('gateway', gateway);
  if (isForForwarding) writer.closeAttribute(writer.openAttribute(NHA.FDB));
  if (device === undefined) return undefined;
  const index = deviceIndex(device);
  if (index === undefined) return noDevice(device);
  writer.attributeU32(NHA.OIF, index);
  return undefined;
}

/** Decodes the body of RTM_NEWNEXTHOP or RTM_DELNEXTHOP. */
export function decodeNextHop(body: Uint8Array, nameOf: DeviceName): NextHop | Malformed {
  const attributes = readAttributes(body, HEADER_LENGTH);
  if (isMalformed(attributes)) return attributes;
  const id = attributes.u32(NHA.ID);
  if (id === undefined) return { malformed: 'next-hop object without a number' };
  const hop = { id, protocol: body[2] ?? 0 };
  const group = attributes.bytes(NHA.GROUP);
  if (group) return { ...hop, target: { type: 'group', members: membersOf(group) } };
  if (attributes.has(NHA.BLACKHOLE)) return { ...hop, target: { type: 'blackhole' } };
  const index = attributes.u32(NHA.OIF);
  return {
    ...hop,
    target: {
      type: 'hop',
      gateway: anyAddress(attributes.bytes(NHA.GATEWAY)),
      device: index === undefined ? undefined : deviceName(index, nameOf),
      ...((readU32(body, 4) & RTNH_F_ONLINK) !== 0 ? { isOnlink: true } : {}),
      ...(attributes.has(NHA.FDB) ? { isForForwarding: true } : {}),
    },
  };
}

function membersOf(group: Uint8Array): { id: number; weight: number }[] {
  const members = [];
  for (let at = 0; at + MEMBER_LENGTH <= group.length; at += MEMBER_LENGTH)
    members.push({ id: readU32(group, at), weight: weightOf(group, at + 4) });
  return members;
}

/** The high byte is always zero in kernels before 6.12. */
function weightOf(group: Uint8Array, at: number): number {
  return (group[at] ?? 0) + ((group[at + 1] ?? 0) << 8) + 1;
}
