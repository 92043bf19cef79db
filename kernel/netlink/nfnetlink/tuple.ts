/** One direction of a tracked connection: nested attributes, with numbers in network byte order. */
import type { Family } from '../../../lib/cidr.ts';
import type { Attributes } from '../attributes.ts';
import { readU16Be } from '../bytes.ts';
import { isMalformed } from '../message.ts';
import type { MessageWriter } from '../message-writer.ts';
import { addressOf } from '../rtnetlink/fields.ts';
import { CTA_IP, CTA_PROTO, CTA_TUPLE } from './constants.ts';

export interface Tuple {
  readonly source: string;
  readonly destination: string;
  /** Number of the IP protocol. */
  readonly protocol: number;
  /** TCP, UDP, SCTP and others with ports; the keys of GRE. */
  readonly ports?: { readonly source: number; readonly destination: number };
  /** ICMP and ICMPv6. */
  readonly icmp?: { readonly id: number; readonly type: number; readonly code: number };
  /** Zone of this direction alone. */
  readonly zone?: number;
}

/** Returns the tuple in an attribute; undefined without it or if it is malformed. */
export function tupleOf(attributes: Attributes, type: number, family: Family): Tuple | undefined {
  const tuple = nestedOf(attributes, type);
  const ip = tuple && nestedOf(tuple, CTA_TUPLE.IP);
  const proto = tuple && nestedOf(tuple, CTA_TUPLE.PROTO);
  const source = ip && addressOf(ip, family === 4 ? CTA_IP.V4_SRC : CTA_IP.V6_SRC, family);
  const destination = ip && addressOf(ip, family === 4 ? CTA_IP.V4_DST : CTA_IP.V6_DST, family);
  const protocol = proto?.u8(CTA_PROTO.NUM);
  if (source === undefined || destination === undefined || protocol === undefined) return undefined;
  const zone = tuple && u16BeOf(tuple, CTA_TUPLE.ZONE);
  return {
    source,
    destination,
    protocol,
    ...(proto ? { ...portsOf(proto), ...icmpOf(proto) } : {}),
    ...(zone === undefined ? {} : { zone }),
  };
}

function portsOf(proto: Attributes): Pick<Tuple, 'ports'> {
  const source = u16BeOf(proto, CTA_PROTO.SRC_PORT);
  const destination = u16BeOf(proto, CTA_PROTO.DST_PORT);
  return source === undefined || destination === undefined ? {} : { ports: { source, destination } };
}

function icmpOf(proto: Attributes): Pick<Tuple, 'icmp'> {
  const types = icmpTypes(proto.has(CTA_PROTO.ICMPV6_ID) ? 6 : 4);
  const id = u16BeOf(proto, types.id);
  const type = proto.u8(types.type);
  const code = proto.u8(types.code);
  return id === undefined || type === undefined || code === undefined ? {} : { icmp: { id, type, code } };
}

/** Returns a u16 in network byte order; undefined without the attribute or if it is shorter. */
export function u16BeOf(attributes: Attributes, type: number): number | undefined {
  const bytes = attributes.bytes(type);
  return bytes && bytes.length >= 2 ? readU16Be(bytes, 0) : undefined;
}

function nestedOf(attributes: Attributes, type: number): Attributes | undefined {
  const nested = attributes.nested(type);
  return nested && isMalformed(nested) ? undefined : nested;
}

/** Writes a tuple as an attribute. Returns false if an address is none. */
export function writeTuple(writer: MessageWriter, attribute: number, tuple: Tuple): boolean {
  const { source, destination, protocol, ports, icmp, zone } = tuple;
  const isV6 = source.includes(':');
  const at = writer.openNested(attribute);
  const ip = writer.openNested(CTA_TUPLE.IP);
  const size = writer.attributeAddress(isV6 ? CTA_IP.V6_SRC : CTA_IP.V4_SRC, source);
  if (size === 0) return false;
  if (writer.attributeAddress(isV6 ? CTA_IP.V6_DST : CTA_IP.V4_DST, destination) !== size) return false;
  writer.closeAttribute(ip);
  const proto = writer.openNested(CTA_TUPLE.PROTO);
  writer.attributeU8(CTA_PROTO.NUM, protocol);
  if (ports) {
    writer.attributeU16Be(CTA_PROTO.SRC_PORT, ports.source);
    writer.attributeU16Be(CTA_PROTO.DST_PORT, ports.destination);
  }
  if (icmp) {
    const types = icmpTypes(isV6 ? 6 : 4);
    writer.attributeU16Be(types.id, icmp.id);
    writer.attributeU8(types.type, icmp.type);
    writer.attributeU8(types.code, icmp.code);
  }
  writer.closeAttribute(proto);
  if (zone !== undefined) writer.attributeU16Be(CTA_TUPLE.ZONE, zone);
  writer.closeAttribute(at);
  return true;
}

function icmpTypes(family: Family): { id: number; type: number; code: number } {
  return family === 4
    ? { id: CTA_PROTO.ICMP_ID, type: CTA_PROTO.ICMP_TYPE, code: CTA_PROTO.ICMP_CODE }
    : { id: CTA_PROTO.ICMPV6_ID, type: CTA_PROTO.ICMPV6_TYPE, code: CTA_PROTO.ICMPV6_CODE };
}
