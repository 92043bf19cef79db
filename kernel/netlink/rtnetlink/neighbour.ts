/**
 * Neighbours, and the forwarding entries of bridges and VXLAN devices (struct ndmsg, linux/neighbour.h):
 *
 *     family u8 | padding | interface index i32 | state u16 | flags u8 | type u8
 */
import type { Family } from '../../../lib/cidr.ts';
import type { ForwardingChange, NeighbourChange } from '../../change.ts';
import { readAttributes } from '../attributes.ts';
import { readU16, readU32 } from '../bytes.ts';
import { isMalformed, type Malformed } from '../message.ts';
import type { MessageWriter } from '../message-writer.ts';
import type { Refusal } from '../write-request.ts';
import { AF, NDA, NTF_PROXY, NTF_SELF, NUD, RTM } from './constants.ts';
import { requestFlags } from './encode-route.ts';
import { addressOf, anyAddress, type DeviceName, deviceName, familyOfNumber, linkAddress } from './fields.ts';
import { type DeviceIndex, invalid, noDevice } from './refusal.ts';

export interface NeighbourRecord {
  readonly family: Family;
  readonly deviceIndex: number;
  readonly device: string;
  readonly address: string;
  /** Undefined while it is unresolved. */
  readonly mac?: string;
  readonly isPermanent: boolean;
  /** Whether it makes the host answer for another one. Such an entry is not a neighbour, and in no dump of neighbours. */
  readonly isProxy?: boolean;
}

export interface ForwardingRecord {
  readonly deviceIndex: number;
  readonly device: string;
  readonly mac: string;
  /** Address of the remote node; undefined for an entry of a bridge. */
  readonly node?: string;
  readonly isPermanent: boolean;
}

const HEADER_LENGTH = 12;

/** Appends a message. Returns why that is impossible, and then appends nothing. */
export function encodeNeighbour(
  writer: MessageWriter,
  { verb, address, device, mac }: NeighbourChange,
  sequence: number,
  deviceIndex: DeviceIndex,
): Refusal | undefined {
  const index = deviceIndex(device);
  if (index === undefined) return noDevice(device);
  const family = address.includes(':') ? AF.INET6 : AF.INET;
  begin(writer, verb, sequence);
  writer.u8(family).u8(0).u16(0).u32(index).u16(NUD.PERMANENT).u16(0);
  let refusal: Refusal | undefined;
  if (writer.attributeAddress(NDA.DST, address) === 0) refusal = invalid('address', address);
  else if (verb === 'replace' && !writer.attributeMac(NDA.LLADDR, mac ?? ''))
    refusal = invalid('lladdr', mac);
  return finish(writer, refusal);
}

/** Appends a message. Returns why that is impossible, and then appends nothing. */
export function encodeForwarding(
  writer: MessageWriter,
  { verb, mac, device, node }: ForwardingChange,
  sequence: number,
  deviceIndex: DeviceIndex,
): Refusal | undefined {
  const index = deviceIndex(device);
  if (index === undefined) return noDevice(device);
  begin(writer, verb, sequence);
  writer
    .u8(AF.BRIDGE)
    .u8(0)
    .u16(0)
    .u32(index)
    .u16(NUD.PERMANENT | NUD.NOARP)
    .u8(NTF_SELF)
    .u8(0);
  let refusal: Refusal | undefined;
  if (!writer.attributeMac(NDA.LLADDR, mac)) refusal = invalid('lladdr', mac);
  else if (writer.attributeAddress(NDA.DST, node) === 0) refusal = invalid('address', node);
  return finish(writer, refusal);
}

function begin(writer: MessageWriter, verb: 'replace' | 'del', sequence: number): void {
  writer.begin(verb === 'del' ? RTM.DELNEIGH : RTM.NEWNEIGH, requestFlags[verb], sequence);
}

function finish(writer: MessageWriter, refusal: Refusal | undefined): Refusal | undefined {
  if (refusal) writer.drop();
  else writer.end();
  return refusal;
}

/** Decodes the body of RTM_NEWNEIGH or RTM_DELNEIGH. Undefined for a family other than IPv4 and IPv6. */
export function decodeNeighbour(
  body: Uint8Array,
  nameOf: DeviceName,
): NeighbourRecord | Malformed | undefined {
  const attributes = readAttributes(body, HEADER_LENGTH);
  if (isMalformed(attributes)) return attributes;
  const family = familyOfNumber(body[0]);
  if (family === undefined) return undefined;
  const address = addressOf(attributes, NDA.DST, family);
  if (address === undefined) return { malformed: 'address of a neighbour' };
  const mac = attributes.bytes(NDA.LLADDR);
  const deviceIndex = readU32(body, 4);
  return {
    family,
    deviceIndex,
    device: deviceName(deviceIndex, nameOf),
    address,
    ...(mac && mac.length > 0 ? { mac: linkAddress(mac, 0) } : {}),
    isPermanent: (readU16(body, 8) & NUD.PERMANENT) !== 0,
    ...(((body[10] ?? 0) & NTF_PROXY) !== 0 ? { isProxy: true } : {}),
  };
}

/** Decodes the body of RTM_NEWNEIGH or RTM_DELNEIGH as a forwarding entry. Undefined for another kind of neighbour. */
export function decodeForwarding(
  body: Uint8Array,
  nameOf: DeviceName,
): ForwardingRecord | Malformed | undefined {
  const attributes = readAttributes(body, HEADER_LENGTH);
  if (isMalformed(attributes)) return attributes;
  if (body[0] !== AF.BRIDGE) return undefined;
  const mac = attributes.bytes(NDA.LLADDR);
  if (mac?.length !== 6) return { malformed: 'MAC of a forwarding entry' };
  const node = anyAddress(attributes.bytes(NDA.DST));
  const deviceIndex = readU32(body, 4);
  return {
    deviceIndex,
    device: deviceName(deviceIndex, nameOf),
    mac: linkAddress(mac, 0),
    ...(node === undefined ? {} : { node }),
    isPermanent: (readU16(body, 8) & NUD.PERMANENT) !== 0,
  };
}
