/**
 * Numbers and text in netlink messages. Numbers have host byte order unless a function's name ends in `Be` (network
 * byte order). Callers check bounds; a byte past the end counts as zero.
 */

export const IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Rounds up to the alignment of messages and attributes. */
export function align(length: number): number {
  return (length + 3) & ~3;
}

export function readU16(bytes: Uint8Array, at: number): number {
  return IS_LITTLE_ENDIAN ? byte(bytes, at) | (byte(bytes, at + 1) << 8) : readU16Be(bytes, at);
}

export function readU16Be(bytes: Uint8Array, at: number): number {
  return (byte(bytes, at) << 8) | byte(bytes, at + 1);
}

export function readU32(bytes: Uint8Array, at: number): number {
  if (!IS_LITTLE_ENDIAN) return readU32Be(bytes, at);
  return (readU16(bytes, at) | (readU16(bytes, at + 2) << 16)) >>> 0;
}

export function readU32Be(bytes: Uint8Array, at: number): number {
  return ((readU16Be(bytes, at) << 16) | readU16Be(bytes, at + 2)) >>> 0;
}

export function readI32(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at) | 0;
}

/** Returns the text up to the first NUL. */
export function readText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
}

const decoder = new TextDecoder();

function byte(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}
