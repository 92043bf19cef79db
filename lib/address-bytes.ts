/** Parses addresses straight into bytes. Much faster than cidr.ts, which makes a big integer first. */
import { addressBytes, parseAddress } from './cidr.ts';

/**
 * Writes the network-order bytes of the address in `text` from the start up to `end`. Returns their number, 4 or 16; 0
 * when the text is not an address, and then the bytes written are undefined. Accepts what parseAddress accepts.
 */
export function writeAddress(text: string, end: number, into: Uint8Array, at: number): 0 | 4 | 16 {
  // A group has at most four digits.
  for (let i = 0; i < 5 && i < end; i++)
    if (text.charCodeAt(i) === COLON) return writeV6(text, end, into, at);
  return writeV4(text, end, into, at);
}

const DOT = 46;
const COLON = 58;

function writeV4(text: string, end: number, into: Uint8Array, at: number): 0 | 4 {
  let value = 0;
  let digits = 0;
  let parts = 0;
  for (let i = 0; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) {
      if (digits === 0 || parts === 3) return 0;
      into[at + parts++] = value;
      value = 0;
      digits = 0;
      continue;
    }
    // A leading zero is refused, as in parseAddress.
    if (code < 48 || code > 57 || (digits > 0 && value === 0)) return 0;
    value = value * 10 + code - 48;
    digits++;
    if (value > 255) return 0;
  }
  if (digits === 0 || parts !== 3) return 0;
  into[at + 3] = value;
  return 4;
}

function writeV6(text: string, end: number, into: Uint8Array, at: number): 0 | 16 {
  let value = 0;
  let digits = 0;
  let groups = 0;
  /** Number of groups before `::`. */
  let gap = -1;
  for (let i = 0; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) return writeDotted(text.slice(0, end), into, at);
    if (code !== COLON) {
      const digit = hexDigit(code);
      if (digit < 0 || ++digits > 4) return 0;
      value = (value << 4) | digit;
      continue;
    }
    const isDouble = i + 1 < end && text.charCodeAt(i + 1) === COLON;
    if (digits > 0) {
      if (groups === 8) return 0;
      putGroup(into, at, groups++, value);
    } else if (i > 0 || !isDouble) return 0;
    value = 0;
    digits = 0;
    if (isDouble) {
      if (gap >= 0) return 0;
      gap = groups;
      i++;
    } else if (i + 1 === end) return 0;
  }
  if (digits > 0) {
    if (groups === 8) return 0;
    putGroup(into, at, groups++, value);
  }
  if (gap < 0) return groups === 8 ? 16 : 0;
  if (groups === 8) return 0;
  const tail = (groups - gap) * 2;
  into.copyWithin(at + 16 - tail, at + gap * 2, at + groups * 2);
  into.fill(0, at + gap * 2, at + 16 - tail);
  return 16;
}

/** An IPv6 address with a dotted end is rare, so it takes the slow way. */
function writeDotted(text: string, into: Uint8Array, at: number): 0 | 16 {
  const address = parseAddress(text);
  if (address?.family !== 6) return 0;
  into.set(addressBytes(address), at);
  return 16;
}

function putGroup(into: Uint8Array, at: number, group: number, value: number): void {
  into[at + group * 2] = value >>> 8;
  into[at + group * 2 + 1] = value & 255;
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  if (code >= 97 && code <= 102) return code - 87;
  return code >= 65 && code <= 70 ? code - 55 : -1;
}
