/** AS_PATH (RFC 4271 section 5.1.2, RFC 6793). */
import { AS_TRANS, SegmentType } from './iana.ts';
import type { Reader } from './reader.ts';
import type { Writer } from './writer.ts';

export interface AsPathSegment {
  readonly type: number;
  readonly asNumbers: readonly number[];
}

export type AsPath = readonly AsPathSegment[];

/** Reads segments of 2- or 4-octet AS numbers. Throws RangeError for an empty or unknown segment. */
export function decodeAsPath(reader: Reader, isFourOctet: boolean): AsPath {
  const segments: AsPathSegment[] = [];
  while (reader.left > 0) {
    const type = reader.u8();
    const count = reader.u8();
    if (type < SegmentType.AS_SET || type > SegmentType.CONFED_SET)
      throw new RangeError(`AS_PATH segment type ${type}`);
    // RFC 7606 section 7.2: a segment without AS numbers is malformed.
    if (count === 0) throw new RangeError('AS_PATH segment without AS numbers');
    const asNumbers: number[] = [];
    for (let i = 0; i < count; i++) asNumbers.push(isFourOctet ? reader.u32() : reader.u16());
    segments.push({ type, asNumbers });
  }
  return segments;
}

export function encodeAsPath(path: AsPath, writer: Writer, isFourOctet: boolean): void {
  for (const { type, asNumbers } of path) {
    // The AS number count of a segment has one octet.
    for (let at = 0; at < asNumbers.length; at += 255) {
      const part = asNumbers.slice(at, at + 255);
      writer.u8(type).u8(part.length);
      for (const as of part) {
        if (isFourOctet) writer.u32(as);
        else writer.u16(as > 0xffff ? AS_TRANS : as);
      }
    }
  }
}

/** Length for the decision process: an AS_SET counts 1, confederation segments 0 (RFC 4271 9.1.2.2, RFC 5065). */
export function pathLength(path: AsPath): number {
  let length = 0;
  for (const { type, asNumbers } of path) {
    if (type === SegmentType.AS_SEQUENCE) length += asNumbers.length;
    else if (type === SegmentType.AS_SET) length += 1;
  }
  return length;
}

/** RFC 6793 section 4.2.3: replaces AS_TRANS in the path of an old speaker with the AS numbers of its AS4_PATH. */
export function mergeAs4Path(path: AsPath, as4Path: AsPath): AsPath {
  const surplus = pathLength(path) - pathLength(as4Path);
  if (surplus < 0) return path;
  const leading: AsPathSegment[] = [];
  let left = surplus;
  for (const { type, asNumbers } of path) {
    if (left <= 0) break;
    if (type === SegmentType.AS_SET) {
      leading.push({ type, asNumbers });
      left -= 1;
    } else if (type === SegmentType.AS_SEQUENCE) {
      leading.push({ type, asNumbers: asNumbers.slice(0, left) });
      left -= asNumbers.length;
    }
  }
  const [head] = as4Path;
  const last = leading.at(-1);
  if (last?.type === SegmentType.AS_SEQUENCE && head?.type === SegmentType.AS_SEQUENCE) {
    const joined = { type: SegmentType.AS_SEQUENCE, asNumbers: [...last.asNumbers, ...head.asNumbers] };
    return [...leading.slice(0, -1), joined, ...as4Path.slice(1)];
  }
  return [...leading, ...as4Path];
}
