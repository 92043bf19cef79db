/**
 * The part of nf_tables' messages (linux/netfilter/nf_tables.h) that tells whether anything changed, and whether the
 * library can read all sets.
 * Rules go through libnftables (kernel/libnftables.ts). Every body starts with struct nfgenmsg:
 *
 *     family u8 | version u8 (0) | resource id u16, network byte order
 */
import { readAttributes } from './attributes.ts';
import { readText, readU32, readU32Be } from './bytes.ts';
import { NLM_F_DUMP, NLM_F_REQUEST } from './constants.ts';
import { isMalformed, type Malformed, type Message } from './message.ts';
import type { MessageWriter } from './message-writer.ts';

const NFNL_SUBSYS_NFTABLES = 10 << 8;
const NFT_MSG_NEWSET = NFNL_SUBSYS_NFTABLES | 9;
const NFT_MSG_GETSET = NFNL_SUBSYS_NFTABLES | 10;
const NFT_MSG_NEWGEN = NFNL_SUBSYS_NFTABLES | 15;
const NFT_MSG_GETGEN = NFNL_SUBSYS_NFTABLES | 16;
const NFGENMSG_LENGTH = 4;
const NFTA_GEN_ID = 1;
const NFTA_SET_TABLE = 1;
const NFTA_SET_NAME = 2;
const NFTA_SET_USERDATA = 13;

/** Types in a set's user data (libnftnl/udata.h): the expressions that give the types of key and value. */
const NFTNL_UDATA_SET_KEY_TYPEOF = 3;
const NFTNL_UDATA_SET_DATA_TYPEOF = 4;
const NFTNL_UDATA_SET_TYPEOF_EXPR = 0;
const NFTNL_UDATA_SET_TYPEOF_DATA = 1;
/**
 * Kinds of expression that libnftables 1.0.6 can read there; it crashes on others. Found by trying all: verdict, payload,
 * exthdr, meta, socket, osf, ct, concat, numgen, hash, rt, fib, xfrm. Versions 1.1.2 and later also write 4, a value.
 */
const READABLE_EXPRESSIONS: ReadonlySet<number> = new Set([1, 7, 8, 9, 10, 11, 12, 13, 23, 24, 25, 26, 27]);
const EXPR_CONCAT = 13;

const families: Readonly<Record<number, string>> = {
  1: 'inet',
  2: 'ip',
  3: 'arp',
  5: 'netdev',
  7: 'bridge',
  10: 'ip6',
};

export interface NftSetHeader {
  /** Such as `inet cali`. */
  readonly table: string;
  readonly name: string;
  /** Whether libnftables 1.0.6 can read its user data. */
  readonly isReadable: boolean;
}

/** Asks for the number of the last change to any table in this network namespace. */
export function writeGenerationRequest(writer: MessageWriter, sequence: number): undefined {
  writeRequest(writer, NFT_MSG_GETGEN, NLM_F_REQUEST, sequence);
}

/** Returns the number; undefined for another message. */
export function readGeneration({ type, body }: Message): number | undefined {
  if (type !== NFT_MSG_NEWGEN) return undefined;
  const attributes = readAttributes(body, NFGENMSG_LENGTH);
  const id = isMalformed(attributes) ? undefined : attributes.bytes(NFTA_GEN_ID);
  return id?.length === 4 ? readU32Be(id, 0) : undefined;
}

/** Asks for all sets of all tables, without elements. */
export function writeSetsRequest(writer: MessageWriter, sequence: number): undefined {
  writeRequest(writer, NFT_MSG_GETSET, NLM_F_REQUEST | NLM_F_DUMP, sequence);
}

/** Returns a set; undefined for another message. */
export function readSet({ type, body }: Message): NftSetHeader | Malformed | undefined {
  if (type !== NFT_MSG_NEWSET) return undefined;
  const attributes = readAttributes(body, NFGENMSG_LENGTH);
  if (isMalformed(attributes)) return attributes;
  const family = families[body[0] ?? 0] ?? `family-${body[0]}`;
  return {
    table: `${family} ${readText(attributes.bytes(NFTA_SET_TABLE) ?? nothing)}`,
    name: readText(attributes.bytes(NFTA_SET_NAME) ?? nothing),
    isReadable: isReadable(attributes.bytes(NFTA_SET_USERDATA) ?? nothing),
  };
}

const nothing = new Uint8Array();

function writeRequest(writer: MessageWriter, type: number, flags: number, sequence: number): void {
  writer.begin(type, flags, sequence);
  writer.u8(0).u8(0).u16Be(0);
  writer.end();
}

function isReadable(userdata: Uint8Array): boolean {
  const entries = readUserdata(userdata);
  if (!entries) return false;
  return entries.every(
    ({ type, value }) =>
      (type !== NFTNL_UDATA_SET_KEY_TYPEOF && type !== NFTNL_UDATA_SET_DATA_TYPEOF) ||
      isReadableType(value, true),
  );
}

/** A concatenation consists of such types; the library reads no concatenation inside one. */
function isReadableType(bytes: Uint8Array, mayConcat: boolean): boolean {
  const entries = readUserdata(bytes);
  const kind = entries?.find(({ type }) => type === NFTNL_UDATA_SET_TYPEOF_EXPR)?.value;
  if (!entries || kind?.length !== 4) return false;
  const expression = readU32(kind, 0);
  if (!READABLE_EXPRESSIONS.has(expression)) return false;
  if (expression !== EXPR_CONCAT) return true;
  const parts = entries.find(({ type }) => type === NFTNL_UDATA_SET_TYPEOF_DATA);
  return (
    mayConcat &&
    (readUserdata(parts?.value ?? nothing)?.every(({ value }) => isReadableType(value, false)) ?? false)
  );
}

/** Splits user data: type u8, length u8, value. Undefined when they end in the middle of one. */
function readUserdata(
  bytes: Uint8Array,
): { readonly type: number; readonly value: Uint8Array }[] | undefined {
  const entries = [];
  for (let at = 0; at < bytes.length; ) {
    const [type = 0, length = bytes.length] = bytes.subarray(at, at + 2);
    const start = at + 2;
    if (start + length > bytes.length) return undefined;
    entries.push({ type, value: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return entries;
}
