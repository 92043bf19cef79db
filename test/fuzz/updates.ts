/**
 * UPDATEs that a receiver with these capabilities accepts and passes on: all kinds of attributes, from short to as long
 * as a message can be, with usual and unusual valid flags, in and out of order.
 */
import { Writer } from '../../bgp/wire/writer.ts';
import type { Random } from './random.ts';

/** The capabilities negotiated with the sender. */
export interface InboundForm {
  readonly isIbgp: boolean;
  readonly isFourOctetAs: boolean;
  readonly hasAddPath: boolean;
}

export const LOCAL_AS = 64_512;
export const PEER_AS = 65_001;
const OPTIONAL = 0x80;
const TRANSITIVE = 0x40;
const PARTIAL = 0x20;
const EXTENDED = 0x10;
const LONGEST_BODY = 65_535 - 19;

type Part = readonly [flags: number, type: number, value: Uint8Array];

/** Returns the body of an UPDATE whose attributes fill at most the room that its prefixes leave. */
export function validUpdate(random: Random, form: InboundForm): Uint8Array {
  const family = random.once(3) ? 6 : 4;
  const withdrawn = random.once(4) ? prefixes(random, form, 4, 1 + random.below(2)) : new Uint8Array();
  if (random.once(10)) return body(withdrawn, unreach(random, form, family), new Uint8Array());
  const nlri = prefixes(random, form, family, 1 + random.below(3));
  const parts = attributes(random, form);
  if (family === 6) parts.unshift([OPTIONAL, 14, reach(random, nlri)]);
  else parts.splice(2, 0, [TRANSITIVE, 3, Uint8Array.of(10, 0, 0, 1 + random.below(3))]);
  // Ascending order is usual but not required (RFC 4271 section 5).
  if (random.once(8)) parts.sort(() => random.below(3) - 1);
  const classic = family === 4 ? nlri : new Uint8Array();
  const room = LONGEST_BODY - 4 - withdrawn.length - classic.length;
  return body(withdrawn, written(random, parts, room), classic);
}

function body(withdrawn: Uint8Array, list: Uint8Array, nlri: Uint8Array): Uint8Array {
  return new Writer()
    .u16(withdrawn.length)
    .bytes(withdrawn)
    .u16(list.length)
    .bytes(list)
    .bytes(nlri)
    .finish();
}

/** Encodes attributes one after another and omits those that do not fit. */
function written(random: Random, parts: readonly Part[], room: number): Uint8Array {
  const writer = new Writer();
  for (const [flags, type, value] of parts) {
    if (writer.length + value.length + 4 > room) continue;
    // Receivers must ignore the four low bits.
    const low = random.once(20) ? random.below(16) : 0;
    if (value.length > 255 || random.once(10))
      writer
        .u8(flags | EXTENDED | low)
        .u8(type)
        .u16(value.length);
    else
      writer
        .u8(flags | low)
        .u8(type)
        .u8(value.length);
    writer.bytes(value);
  }
  return writer.finish();
}

/** Returns a size: usually small, occasionally up to `most`. */
function size(random: Random, usual: number, most: number): number {
  if (random.once(1_000)) return random.below(most);
  return random.once(60) ? random.below(Math.min(most, usual * 100)) : random.below(usual + 1);
}

function attributes(random: Random, { isIbgp, isFourOctetAs }: InboundForm): Part[] {
  const parts: Part[] = [
    [TRANSITIVE | (random.once(30) ? PARTIAL : 0), 1, Uint8Array.of(random.below(3))],
    [TRANSITIVE, 2, path(random, isIbgp, isFourOctetAs)],
  ];
  const partial = () => OPTIONAL | TRANSITIVE | (random.once(10) ? PARTIAL : 0);
  const words = (count: number) => random.fill(new Uint8Array(count * 4));
  if (random.once(2)) parts.push([OPTIONAL, 4, words(1)]);
  if (isIbgp) parts.push([TRANSITIVE, 5, words(1)]);
  if (random.once(6)) parts.push([TRANSITIVE, 6, new Uint8Array()]);
  if (random.once(4)) parts.push([partial(), 7, aggregator(random, isFourOctetAs)]);
  if (random.once(2)) parts.push([partial(), 8, words(1 + size(random, 4, 16_000))]);
  if (isIbgp && random.once(3)) parts.push([OPTIONAL, 9, Uint8Array.of(10, 1, 1, random.below(256))]);
  if (isIbgp && random.once(3)) parts.push([OPTIONAL, 10, words(1 + size(random, 3, 1_000))]);
  if (random.once(5)) parts.push([partial(), 16, words(2 * (1 + size(random, 3, 4_000)))]);
  if (!isFourOctetAs && random.once(2)) {
    parts.push([partial(), 17, numbers(random, 1 + random.below(4), true)]);
    if (random.once(2)) parts.push([partial(), 18, aggregator(random, true)]);
  }
  if (random.once(5)) parts.push([partial(), 32, words(3 * (1 + size(random, 3, 3_000)))]);
  if (random.once(9)) parts.push([partial(), 35, words(1)]);
  if (random.once(5))
    parts.push([partial(), 100 + random.below(100), random.fill(new Uint8Array(size(random, 20, 40_000)))]);
  // Close to the limit of 4,096 octets without RFC 8654.
  if (random.once(40)) parts.push([partial(), 90, new Uint8Array(3_600 + random.below(450))]);
  if (random.once(30))
    parts.push([OPTIONAL, 200 + random.below(50), random.fill(new Uint8Array(random.below(9)))]);
  return parts;
}

/** An AS_PATH without loops and sets. That of an external peer starts with the peer's AS number. */
function path(random: Random, isIbgp: boolean, isFourOctetAs: boolean): Uint8Array {
  const writer = new Writer();
  let left = size(random, 5, isFourOctetAs ? 16_000 : 32_000);
  if (!isIbgp) {
    writer.u8(2).u8(1);
    if (isFourOctetAs) writer.u32(PEER_AS);
    else writer.u16(PEER_AS);
  }
  while (left > 0) {
    const count = Math.min(left, random.once(3) ? 255 : 1 + random.below(255));
    writer.bytes(numbers(random, count, isFourOctetAs));
    left -= count;
  }
  return writer.finish();
}

/** One AS_SEQUENCE. */
function numbers(random: Random, count: number, isFourOctetAs: boolean): Uint8Array {
  const writer = new Writer().u8(2).u8(count);
  for (let i = 0; i < count; i++) {
    if (!isFourOctetAs) writer.u16(random.once(5) ? 23_456 : 1 + random.below(60_000));
    else writer.u32(random.once(3) ? 100_000 + random.below(1_000_000) : 1 + random.below(60_000));
  }
  return writer.finish();
}

function aggregator(random: Random, isFourOctetAs: boolean): Uint8Array {
  const writer = new Writer();
  if (isFourOctetAs) writer.u32(1 + random.below(200_000));
  else writer.u16(random.once(2) ? 23_456 : 1 + random.below(60_000));
  return writer.bytes(Uint8Array.of(10, 9, 9, 9)).finish();
}

function reach(random: Random, nlri: Uint8Array): Uint8Array {
  const linkLocal = Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
  const global = Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 + random.below(3));
  const nextHop = random.pick([
    [global],
    [global, linkLocal],
    [linkLocal],
    [linkLocal, linkLocal],
    [new Uint8Array(16), linkLocal],
  ]);
  const writer = new Writer()
    .u16(2)
    .u8(1)
    .u8(nextHop.length * 16);
  for (const one of nextHop) writer.bytes(one);
  return writer.u8(0).bytes(nlri).finish();
}

function unreach(random: Random, form: InboundForm, family: 4 | 6): Uint8Array {
  const value = new Writer()
    .u16(family === 4 ? 1 : 2)
    .u8(1)
    .bytes(prefixes(random, form, family, 1 + random.below(3)))
    .finish();
  return new Writer().u8(OPTIONAL).u8(15).u8(value.length).bytes(value).finish();
}

/** Prefixes of few networks, so that they recur. */
function prefixes(random: Random, { hasAddPath }: InboundForm, family: 4 | 6, count: number): Uint8Array {
  const writer = new Writer();
  for (let i = 0; i < count; i++) {
    if (hasAddPath) writer.u32(1 + random.below(3));
    const length = random.pick(family === 4 ? [8, 12, 16, 24, 32] : [32, 48, 64, 127, 128]);
    writer.u8(length).u8(family === 4 ? 10 : 0x20);
    for (let octet = 1; octet < (length + 7) >> 3; octet++)
      writer.u8(octet === 1 ? random.below(4) : random.below(2));
  }
  return writer.finish();
}
