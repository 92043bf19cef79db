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
  readonly body: Uint8Array;
}

/** Shortest legal message per type, header included (RFC 4271 section 6.1, RFC 2918). */
const minimumLength: Readonly<Record<number, number>> = {
  [MessageType.OPEN]: 29,
  [MessageType.UPDATE]: 23,
  [MessageType.NOTIFICATION]: 21,
  [MessageType.KEEPALIVE]: 19,
  [MessageType.ROUTE_REFRESH]: 23,
};

export class Framer {
  #tail: Uint8Array = new Uint8Array();
  #maxLength: number = MAX_MESSAGE_LENGTH;

  /** Accepts messages of up to 65,535 octets from now on (RFC 8654). OPEN and KEEPALIVE stay at 4,096. */
  allowExtended(): void {
    this.#maxLength = MAX_EXTENDED_MESSAGE_LENGTH;
  }

  /** Yields the messages that the chunk completes. Throws WireError for a bad header. */
  *push(chunk: Uint8Array): Generator<Frame> {
    // A Buffer's slice is a view, that of a plain Uint8Array a copy: decoders count on the latter.
    const plain = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
    let bytes = this.#tail.length === 0 ? plain : concat(this.#tail, plain);
    this.#tail = new Uint8Array();
    while (bytes.length >= HEADER_LENGTH) {
      const { length, type } = this.#header(bytes);
      if (bytes.length < length) break;
      const body = bytes.subarray(HEADER_LENGTH, length);
      bytes = bytes.subarray(length);
      // The rest is kept before the message is handed out: its receiver may stop reading here.
      this.#tail = bytes;
      yield { type, body };
    }
    this.#tail = bytes;
  }

  #header(bytes: Uint8Array): { length: number; type: MessageType } {
    for (let i = 0; i < 16; i++) {
      if (bytes[i] !== 0xff) {
        throw new WireError(
          ErrorCode.MESSAGE_HEADER,
          HeaderSubcode.NOT_SYNCHRONIZED,
          'the marker is not all ones',
        );
      }
    }
    const length = (bytes[16]! << 8) | bytes[17]!;
    const type = bytes[18]!;
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
        bytes.slice(16, 18),
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
