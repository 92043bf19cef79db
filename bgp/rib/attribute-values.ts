/** Converts rows of the attribute table to values and back, for policy, for status and outside the fast path. */
import { addressBytes, parseAddress } from '../../lib/cidr.ts';
import { decodeAttributes, type PathAttributes } from '../wire/attributes.ts';
import { encodeAttributes } from '../wire/encode-attributes.ts';
import { MAX_ATTRIBUTES_LENGTH } from '../wire/iana.ts';
import { Reader } from '../wire/reader.ts';
import { AttributeScan } from '../wire/scan.ts';
import { Writer } from '../wire/writer.ts';
import type { AttributeTable } from './attribute-table.ts';

const own = { isIbgp: true, isFourOctetAs: true, localAs: -1, globalAs: -1 };
const scan = new AttributeScan();
const noBytes = new Uint8Array();

/** Attributes of a row as values. An empty next hop stands for this speaker. */
export function attributesOf(table: AttributeTable, row: number): PathAttributes {
  const { attributes } = decodeAttributes(new Reader(table.attributes(row)), own);
  return {
    ...attributes,
    nextHop: table.nextHop(row).length === 0 ? '' : table.nextHopText(row),
  } as PathAttributes;
}

/** Reason for attributes that policy makes too long. */
export const TOO_LONG_BY_POLICY = 'policy makes its attributes too long for an UPDATE';

/**
 * Returns the row for attributes given as values, with a reference for the caller; undefined when they exceed the longest
 * UPDATE.
 */
export function internAttributes(table: AttributeTable, attributes: PathAttributes): number | undefined {
  const writer = new Writer();
  if (encodeAttributes(attributes, writer, { ...own, hasNextHop: false }) > MAX_ATTRIBUTES_LENGTH)
    return undefined;
  const bytes = writer.finish();
  if (!scan.scan(bytes, 0, bytes.length, own, true))
    throw new Error('local attributes are not in normal form');
  const nextHop = attributes.nextHop === '' ? noBytes : addressBytes(parseAddress(attributes.nextHop)!);
  return table.intern(scan, nextHop, 0, nextHop.length);
}
