/**
 * Splits a byte stream into messages (RFC 4271 section 4.1). It checks the header before it buffers the message, so a
 * peer can make it hold at most one message.
 *
 *   0                   15  16      17  18
 *   +---- marker (16 x ff) ----+- length -+ type +
 */
import {
  ErrorCode,
  HEADER_LENGTH,
  HeaderSubcode,
  MAX_EXTENDED_MESSAGE_LENGTH,
  MAX_MESSAGE_LENGTH,
  MessageType,
} from './iana.ts';
import { WireError } from './wire-error.ts';

export interface Frame {
  readonly type: MessageType;
  /** Header and body. */
  readonly message: Uint8Array;
  readonly body: Uint8Array;
}

/**
 * Minimum length of each message type, header included (RFC 4271 section 6.1). For ROUTE-REFRESH of a wrong length, RFC
 * 7313 section 5 makes the error depend on the subtype, the third octet. One without a subtype has a bad length.
 */
const minimumLength: Readonly<Record<number, number>> = {
  [MessageType.OPEN]: 29,
  [MessageType.UPDATE]: 23,
  [MessageType.NOTIFICATION]: 21,
  [MessageType.KEEPALIVE]: 19,
  [MessageType.ROUTE_REFRESH]: 22,
};

export class Framer {
  #tail: Uint8Array = new Uint8Array();
  #maxLength: number = MAX_MESSAGE_LENGTH;

  /** Accepts messages of up to 65,535 octets from now on (RFC 8654), except OPEN and KEEPALIVE. */
  allowExtended(): void {
    this.#maxLength = MAX_EXTENDED_MESSAGE_LENGTH;
  }

  /**
   * Passes the messages that the chunk completes to `receive`, until it returns false. The rest waits for the next
   * chunk. Throws WireError for a bad header, and rethrows errors of `receive`.
   */
  push(chunk: Uint8Array, receive: (frame: Frame) => boolean): void {
    // Decoders need `slice` to copy. That of a Buffer returns a view, that of a plain Uint8Array a copy.
    const plain = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
    const bytes = this.#tail.length === 0 ? plain : concat(this.#tail, plain);
    this.#tail = new Uint8Array();
    let at = 0;
    while (bytes.length - at >= HEADER_LENGTH) {
      const { length, type } = this.#header(bytes, at);
      if (bytes.length - at < length) break;
      const message = bytes.subarray(at, at + length);
      at += length;
      if (!receive({ type, message, body: message.subarray(HEADER_LENGTH) })) break;
    }
    // A copy, so that the large chunk can be freed.
    if (at < bytes.length) this.#tail = bytes.slice(at);
  }

  #header(bytes: Uint8Array, at: number): { length: number; type: MessageType } {
    for (let i = 0; i < 16; i++) {
      if (bytes[at + i] !== 0xff) {
        throw new WireError(
          ErrorCode.MESSAGE_HEADER,
          HeaderSubcode.NOT_SYNCHRONIZED,
          'the marker is not all ones',
        );
      }
    }
    const length = (bytes[at + 16]! << 8) | bytes[at + 17]!;
    const type = bytes[at + 18]!;
    const minimum = minimumLength[type];
    if (minimum === undefined) {
      throw new WireError(
        ErrorCode.MESSAGE_HEADER,
        HeaderSubcode.BAD_TYPE,
        `message type ${type}`,
        Uint8Array.of(type),
      );
    }
    const isShortType = type === MessageType.OPEN || type === MessageType.KEEPALIVE;
    const maximum = isShortType ? MAX_MESSAGE_LENGTH : this.#maxLength;
    const isBad =
      length < minimum || length > maximum || (type === MessageType.KEEPALIVE && length !== HEADER_LENGTH);
    if (isBad) {
      throw new WireError(
        ErrorCode.MESSAGE_HEADER,
        HeaderSubcode.BAD_LENGTH,
        `length ${length} for a message of type ${type}`,
        bytes.slice(at + 16, at + 18),
      );
    }
    return { length, type: type as MessageType };
  }
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}
