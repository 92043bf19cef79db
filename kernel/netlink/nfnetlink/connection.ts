/**
 * Tracked connections (linux/netfilter/nfnetlink_conntrack.h). The fixed part is struct nfgenmsg:
 *
 *     family u8 | version u8 | resource id u16, network byte order
 */
import type { Family } from '../../../lib/cidr.ts';
import { type Attributes, readAttributes } from '../attributes.ts';
import { readU32Be } from '../bytes.ts';
import { NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST } from '../constants.ts';
import { isMalformed, type Malformed, type Message } from '../message.ts';
import type { MessageWriter } from '../message-writer.ts';
import { AF } from '../rtnetlink/constants.ts';
import { familyOfNumber } from '../rtnetlink/fields.ts';
import { invalid } from '../rtnetlink/refusal.ts';
import type { Refusal, WriteRequest } from '../write-request.ts';
import { CT, CTA } from './constants.ts';
import { type Tuple, tupleOf, u16BeOf, writeTuple } from './tuple.ts';

export interface Connection {
  readonly family: Family;
  /** As the first packet had it. */
  readonly original: Tuple;
  /** As answers have it: addresses and ports after translation. */
  readonly reply: Tuple;
  /** Bits of IPS_* (linux/netfilter/nf_conntrack_common.h). */
  readonly status: number;
  readonly mark: number;
  /** Tells the connection from later ones with the same tuple; undefined if the kernel does not say. */
  readonly id?: number;
  readonly zone?: number;
}

const HEADER_LENGTH = 4;

/**
 * Asks for the connections of a family. The kernel could filter by address (CTA_FILTER), but a filter for an IPv6 address
 * selects all connections without it (seen with Linux 6.18).
 */
export function connectionDump(family: Family): WriteRequest {
  return (writer, sequence) => {
    begin(writer, CT.GET, NLM_F_REQUEST | NLM_F_DUMP, sequence, family);
    return finish(writer, undefined);
  };
}

/** Asks the kernel to delete one connection. It answers ENOENT when the connection has ended. */
export function deleteConnection({ family, original, id, zone }: Omit<Connection, 'reply'>): WriteRequest {
  return (writer, sequence) => {
    begin(writer, CT.DELETE, NLM_F_REQUEST | NLM_F_ACK, sequence, family);
    // Without the tuple, the kernel would delete all connections.
    if (!writeTuple(writer, CTA.TUPLE_ORIG, original))
      return finish(writer, invalid('address', `${original.source} or ${original.destination}`));
    if (id !== undefined) writeU32Be(writer, CTA.ID, id);
    if (zone !== undefined) writer.attributeU16Be(CTA.ZONE, zone);
    return finish(writer, undefined);
  };
}

/** Decodes an entry of a dump. Undefined for another message, or a family other than IPv4 and IPv6. */
export function decodeConnection({ type, body }: Message): Connection | Malformed | undefined {
  if (type !== CT.NEW && type !== CT.DELETE) return undefined;
  const attributes = readAttributes(body, HEADER_LENGTH);
  if (isMalformed(attributes)) return attributes;
  const family = familyOfNumber(body[0]);
  if (family === undefined) return undefined;
  const original = tupleOf(attributes, CTA.TUPLE_ORIG, family);
  const reply = tupleOf(attributes, CTA.TUPLE_REPLY, family);
  if (!original || !reply) return { malformed: 'tuple of a connection' };
  const id = u32BeOf(attributes, CTA.ID);
  const zone = u16BeOf(attributes, CTA.ZONE);
  return {
    family,
    original,
    reply,
    status: u32BeOf(attributes, CTA.STATUS) ?? 0,
    mark: u32BeOf(attributes, CTA.MARK) ?? 0,
    ...(id === undefined ? {} : { id }),
    ...(zone === undefined ? {} : { zone }),
  };
}

function begin(writer: MessageWriter, type: number, flags: number, sequence: number, family: Family): void {
  writer.begin(type, flags, sequence);
  writer
    .u8(family === 4 ? AF.INET : AF.INET6)
    .u8(0)
    .u16(0);
}

function finish(writer: MessageWriter, refusal: Refusal | undefined): Refusal | undefined {
  if (refusal) writer.drop();
  else writer.end();
  return refusal;
}

function writeU32Be(writer: MessageWriter, type: number, value: number): void {
  const at = writer.openAttribute(type);
  writer.u32Be(value);
  writer.closeAttribute(at);
}

function u32BeOf(attributes: Attributes, type: number): number | undefined {
  const bytes = attributes.bytes(type);
  return bytes && bytes.length >= 4 ? readU32Be(bytes, 0) : undefined;
}
