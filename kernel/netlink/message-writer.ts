/**
 * Appends messages to one buffer, which grows as needed and is reused after `reset`, so that thousands of messages cost
 * no allocation each. Values are written in host byte order.
 *
 *     writer.begin(RTM_NEWROUTE, NLM_F_REQUEST | NLM_F_ACK, sequence);
 *     writer.u8(AF_INET) …            the fixed part
 *     writer.attributeU32(RTA_OIF, 3) …
 *     writer.end();
 */
import { writeAddress } from '../../lib/address-bytes.ts';
import { align, IS_LITTLE_ENDIAN } from './bytes.ts';
import { NLA_F_NESTED } from './constants.ts';

/** The largest attribute, with its header: the length is a u16. */
const MAX_ATTRIBUTE = 0xffff;

export class MessageWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;
  /** Where the open message starts. */
  #start = 0;
  #isTooLong = false;

  constructor(capacity = 65_536) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Number of bytes of all messages so far: the offset at which the next one starts. */
  get length(): number {
    return this.#length;
  }

  /** Returns a view of the messages. It changes with the next message after `reset`. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Removes all messages and keeps the buffer. */
  reset(): void {
    this.#length = 0;
    this.#start = 0;
    this.#isTooLong = false;
  }

  begin(type: number, flags: number, sequence: number): void {
    this.#start = this.#length;
    this.#isTooLong = false;
    // The length follows in `end`; port id 0 addresses the kernel.
    this.u32(0).u16(type).u16(flags).u32(sequence).u32(0);
  }

  /** Ends the open message. Returns false, and drops the message, if one of its attributes is too long. */
  end(): boolean {
    if (this.#isTooLong) {
      this.drop();
      return false;
    }
    this.#view.setUint32(this.#start, this.#length - this.#start, IS_LITTLE_ENDIAN);
    this.#pad();
    return true;
  }

  /** Drops the open message. */
  drop(): void {
    this.#length = this.#start;
    this.#isTooLong = false;
  }

  u8(value: number): this {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
    return this;
  }

  u16(value: number): this {
    this.#reserve(2);
    this.#view.setUint16(this.#length, value, IS_LITTLE_ENDIAN);
    this.#length += 2;
    return this;
  }

  u32(value: number): this {
    this.#reserve(4);
    this.#view.setUint32(this.#length, value, IS_LITTLE_ENDIAN);
    this.#length += 4;
    return this;
  }

  /** In network byte order. */
  u16Be(value: number): this {
    this.#reserve(2);
    this.#view.setUint16(this.#length, value);
    this.#length += 2;
    return this;
  }

  /** In network byte order. */
  u32Be(value: number): this {
    this.#reserve(4);
    this.#view.setUint32(this.#length, value);
    this.#length += 4;
    return this;
  }

  append(bytes: Uint8Array): this {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  attribute(type: number, value: Uint8Array): void {
    const at = this.openAttribute(type);
    this.append(value);
    this.closeAttribute(at);
  }

  attributeU8(type: number, value: number): void {
    this.u16(5).u16(type).u32(0);
    this.#bytes[this.#length - 4] = value;
  }

  attributeU16(type: number, value: number): void {
    this.u16(6).u16(type).u16(value).u16(0);
  }

  attributeU16Be(type: number, value: number): void {
    this.u16(6).u16(type).u16Be(value).u16(0);
  }

  attributeU32(type: number, value: number): void {
    this.u16(8).u16(type).u32(value);
  }

  /** Text that ends with NUL, such as an interface's name. */
  attributeText(type: number, value: string): void {
    const at = this.openAttribute(type);
    this.append(encoder.encode(value)).u8(0);
    this.closeAttribute(at);
  }

  /**
   * The network-order bytes of the address in `text`, up to `end`. Returns their number, 4 or 16; writes nothing and
   * returns 0 when the text is not an address.
   */
  attributeAddress(type: number, text: string, end = text.length): 0 | 4 | 16 {
    this.#reserve(4 + 16);
    const length = writeAddress(text, end, this.#bytes, this.#length + 4);
    if (length === 0) return 0;
    this.u16(4 + length).u16(type);
    this.#length += length;
    return length;
  }

  /** The bytes of an address without an attribute's header. Returns their number; 0 for text that is not an address. */
  address(text: string): 0 | 4 | 16 {
    this.#reserve(16);
    const length = writeAddress(text, text.length, this.#bytes, this.#length);
    this.#length += length;
    return length;
  }

  /** The bytes of a MAC address as canonical text. Writes nothing and returns false for other text. */
  attributeMac(type: number, text: string): boolean {
    if (!/^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(text)) return false;
    this.u16(4 + 6).u16(type);
    for (let i = 0; i < 17; i += 3) this.u8(Number.parseInt(text.slice(i, i + 2), 16));
    this.u16(0);
    return true;
  }

  /** An attribute that contains attributes: those that are written until `closeAttribute`. */
  openNested(type: number): number {
    return this.openAttribute(type | NLA_F_NESTED);
  }

  /** Returns where the attribute starts, for `closeAttribute`. Its value is written in between. */
  openAttribute(type: number): number {
    const at = this.#length;
    this.u16(0).u16(type);
    return at;
  }

  closeAttribute(at: number): void {
    const length = this.#length - at;
    if (length > MAX_ATTRIBUTE) this.#isTooLong = true;
    this.#view.setUint16(at, length, IS_LITTLE_ENDIAN);
    this.#pad();
  }

  /** Writes a u16 at an offset that was written before, such as the length of a next hop. */
  patchU16(at: number, value: number): void {
    this.#view.setUint16(at, value, IS_LITTLE_ENDIAN);
  }

  #pad(): void {
    for (let left = align(this.#length - this.#start) - (this.#length - this.#start); left > 0; left--)
      this.u8(0);
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
    grown.set(this.#bytes);
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

const encoder = new TextEncoder();
