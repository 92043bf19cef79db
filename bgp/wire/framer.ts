/**
 * Cuts a byte stream into messages (RFC 4271 section 4.1). The header is checked before anything is
 * buffered for it, so a peer can make us hold one message at most.
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
  /** Header and all. */
  readonly message: Uint8Array;
  readonly body: Uint8Array;
}

/**
 * Shortest legal message per type, header included (RFC 4271 section 6.1). RFC 7313 section 5 wants a ROUTE-REFRESH of
 * any length answered by its subtype, which is the third octet; one without it has a bad length.
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

  /** Accepts messages of up to 65,535 octets from now on (RFC 8654). OPEN and KEEPALIVE stay at 4,096. */
  allowExtended(): void {
    this.#maxLength = MAX_EXTENDED_MESSAGE_LENGTH;
  }

  /**
   * Hands out the messages that the chunk completes, until the receiver returns false: the rest stays for the next
   * chunk. Throws WireError for a bad header, and lets through what the receiver throws.
   */
  push(chunk: Uint8Array, receive: (frame: Frame) => boolean): void {
    // A Buffer's slice is a view, that of a plain Uint8Array a copy: decoders count on the latter.
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
    // A copy: the chunk it lies in is large, and the rest of it not needed any more.
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
