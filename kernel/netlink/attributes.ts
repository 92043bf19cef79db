/**
 * Finds the attributes of a message (struct nlattr, linux/netlink.h):
 *
 *     length u16, with these four bytes | type u16 | value, padded to 4 bytes
 */
import { formatBytes } from '../../lib/cidr.ts';
import { align, readText, readU16, readU32 } from './bytes.ts';
import { NLA_TYPE_MASK } from './constants.ts';
import type { Malformed } from './message.ts';

const HEADER_LENGTH = 4;

/** The attributes of a message or of an attribute. If a type occurs twice, the first counts. */
export class Attributes {
  readonly #bytes: Uint8Array;
  /** Type, start and end of each value. */
  readonly #index: readonly number[];

  constructor(bytes: Uint8Array, index: readonly number[]) {
    this.#bytes = bytes;
    this.#index = index;
  }

  has(type: number): boolean {
    return this.#find(type) >= 0;
  }

  /** Returns a view of a value. */
  bytes(type: number): Uint8Array | undefined {
    const i = this.#find(type);
    return i < 0 ? undefined : this.#bytes.subarray(this.#index[i + 1], this.#index[i + 2]);
  }

  /** Returns the first byte of a value; undefined without the attribute or if it is empty. */
  u8(type: number): number | undefined {
    const at = this.#start(type, 1);
    return at < 0 ? undefined : this.#bytes[at];
  }

  /** Undefined without the attribute or if it is shorter. */
  u16(type: number): number | undefined {
    const at = this.#start(type, 2);
    return at < 0 ? undefined : readU16(this.#bytes, at);
  }

  /** Undefined without the attribute or if it is shorter. */
  u32(type: number): number | undefined {
    const at = this.#start(type, 4);
    return at < 0 ? undefined : readU32(this.#bytes, at);
  }

  /** Returns the canonical text of an address; undefined without the attribute or if it has another length. */
  address(type: number, length: 4 | 16): string | undefined {
    const i = this.#find(type);
    const start = this.#index[i + 1] ?? 0;
    return i < 0 || (this.#index[i + 2] ?? 0) - start !== length
      ? undefined
      : formatBytes(this.#bytes, start, length);
  }

  text(type: number): string | undefined {
    const bytes = this.bytes(type);
    return bytes && readText(bytes);
  }

  /** Returns the attributes inside an attribute; undefined without it. */
  nested(type: number): Attributes | Malformed | undefined {
    const bytes = this.bytes(type);
    return bytes && readAttributes(bytes, 0);
  }

  /** Returns type and value of each, in order. */
  list(): { readonly type: number; readonly value: Uint8Array }[] {
    const list = [];
    for (let i = 0; i < this.#index.length; i += 3)
      list.push({
        type: this.#index[i] ?? 0,
        value: this.#bytes.subarray(this.#index[i + 1], this.#index[i + 2]),
      });
    return list;
  }

  /** Returns where a value of at least `length` bytes starts; -1 if there is none. */
  #start(type: number, length: number): number {
    const i = this.#find(type);
    const start = this.#index[i + 1] ?? 0;
    return i < 0 || (this.#index[i + 2] ?? 0) - start < length ? -1 : start;
  }

  #find(type: number): number {
    for (let i = 0; i < this.#index.length; i += 3) if (this.#index[i] === type) return i;
    return -1;
  }
}

/** Returns the attributes from an offset to the end, or what is wrong with them. */
export function readAttributes(bytes: Uint8Array, offset: number): Attributes | Malformed {
  const index: number[] = [];
  let at = offset;
  while (at < bytes.length) {
    const left = bytes.length - at;
    const length = readU16(bytes, at);
    if (left < HEADER_LENGTH || length < HEADER_LENGTH || length > left)
      return { malformed: `length ${length} of an attribute where ${left} bytes are left` };
    index.push(readU16(bytes, at + 2) & NLA_TYPE_MASK, at + HEADER_LENGTH, at + length);
    at += align(length);
  }
  if (offset > bytes.length)
    return { malformed: `${bytes.length} bytes where the attributes start at ${offset}` };
  return new Attributes(bytes, index);
}
