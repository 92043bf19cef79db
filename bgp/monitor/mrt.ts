/** The RIB as an MRT table dump (RFC 6396 section 4.3, RFC 8050 with add-path), for tools such as bgpdump. */
import { addressBytes, bitsOf, type Family, familyOf, parseAddress } from '../../lib/cidr.ts';
import { attributesOf } from '../rib/attribute-values.ts';
import type { Rib } from '../rib/rib.ts';
import { encodeAttributes } from '../wire/encode-attributes.ts';
import { AttributeFlag, AttributeType, MAX_ATTRIBUTES_LENGTH } from '../wire/iana.ts';
import { Writer } from '../wire/writer.ts';

export interface MrtPeer {
  /** Row in the source table. */
  readonly source: number;
  readonly address: string;
  /** Dotted quad. */
  readonly identifier: string;
  readonly asNumber: number;
}

const TABLE_DUMP_V2 = 13;
const PEER_INDEX_TABLE = 1;
const RIB_UNICAST: Readonly<Record<Family, number>> = { 4: 2, 6: 4 };
const RIB_UNICAST_ADD_PATH: Readonly<Record<Family, number>> = { 4: 8, 6: 10 };

/** Yields the records in order, without local routes, which have no peer. */
export function* dumpTable(
  ribs: readonly Rib[],
  peers: readonly MrtPeer[],
  collector: string,
  nowSeconds: number,
): Generator<Uint8Array> {
  yield record(nowSeconds, PEER_INDEX_TABLE, peerTable(peers, collector));
  const indexes = new Map(peers.map(({ source }, index) => [source, index]));
  let sequence = 0;
  for (const rib of ribs) {
    for (let prefix = 0; prefix < rib.prefixes.rows; prefix++) {
      const paths =
        rib.head[prefix]! < 0
          ? []
          : [...rib.pathsTo(prefix)].filter((path) => indexes.has(rib.paths.source[path]!));
      if (paths.length === 0) continue;
      const hasPathId = paths.some((path) => rib.paths.pathId[path] !== 0);
      const subtype = (hasPathId ? RIB_UNICAST_ADD_PATH : RIB_UNICAST)[rib.family];
      const nlri = new Uint8Array(20);
      const body = new Writer().u32(sequence++).bytes(nlri.subarray(0, rib.prefixes.write(prefix, nlri, 0)));
      body.u16(paths.length);
      for (const path of paths) {
        body.u16(indexes.get(rib.paths.source[path]!)!).u32(nowSeconds);
        if (hasPathId) body.u32(rib.paths.pathId[path]!);
        const attributes = attributeBytes(rib, path);
        body.u16(attributes.length).bytes(attributes);
      }
      yield record(nowSeconds, subtype, body.finish());
    }
  }
}

function record(nowSeconds: number, subtype: number, body: Uint8Array): Uint8Array {
  return new Writer().u32(nowSeconds).u16(TABLE_DUMP_V2).u16(subtype).u32(body.length).bytes(body).finish();
}

function peerTable(peers: readonly MrtPeer[], collector: string): Uint8Array {
  const body = new Writer().bytes(bytesOf(collector)).u16(0).u16(peers.length);
  for (const { address, identifier, asNumber } of peers) {
    // Bit 0: IPv6 address; bit 1: 4-octet AS.
    body.u8(familyOf(address) === 6 ? 3 : 2).bytes(bytesOf(identifier));
    body.bytes(bytesOf(address.replace(/%.*$/, ''))).u32(asNumber);
  }
  return body.finish();
}

/**
 * Section 4.3.4: MP_REACH_NLRI holds only the next hop. A NEXT_HOP that does not fit in type order follows the others;
 * the length field of 16 bits has room for it.
 */
function attributeBytes(rib: Rib, path: number): Uint8Array {
  const attributes = attributesOf(rib.attributes, rib.paths.received[path]!);
  const writer = new Writer();
  const hasNextHop = familyOf(attributes.nextHop) === 4;
  const form = { isFourOctetAs: true, isIbgp: true };
  if (hasNextHop && encodeAttributes(attributes, writer, { ...form, hasNextHop }) <= MAX_ATTRIBUTES_LENGTH)
    return writer.finish();
  encodeAttributes(attributes, writer, { ...form, hasNextHop: false });
  if (hasNextHop) {
    writer.u8(AttributeFlag.TRANSITIVE).u8(AttributeType.NEXT_HOP).u8(4).bytes(bytesOf(attributes.nextHop));
  } else {
    const octets = bitsOf(6) / 8;
    writer
      .u8(AttributeFlag.OPTIONAL)
      .u8(AttributeType.MP_REACH_NLRI)
      .u8(octets + 1)
      .u8(octets);
    writer.bytes(bytesOf(attributes.nextHop));
  }
  return writer.finish();
}

function bytesOf(address: string): Uint8Array {
  return addressBytes(parseAddress(address)!);
}
