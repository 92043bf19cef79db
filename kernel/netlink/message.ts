/**
 * Splits what a netlink socket received into messages (struct nlmsghdr, linux/netlink.h):
 *
 *     length u32 | type u16 | flags u16 | sequence u32 | port id u32 | body, padded to 4 bytes
 */
import { align, readU16, readU32 } from './bytes.ts';

export const HEADER_LENGTH = 16;

export interface Message {
  readonly type: number;
  readonly flags: number;
  /** The number of the request that this answers; 0 in a notification. */
  readonly sequence: number;
  /** The socket that sent the request; 0 in a notification of the kernel's own making. */
  readonly portId: number;
  /** A view of the received bytes, without padding. It changes when the caller reuses the buffer. */
  readonly body: Uint8Array;
}

/** What is wrong with bytes that are not a valid message. */
export interface Malformed {
  readonly malformed: string;
}

/** Returns the messages of one datagram, or what is wrong with it. */
export function readMessages(bytes: Uint8Array): Message[] | Malformed {
  const messages: Message[] = [];
  let at = 0;
  while (at < bytes.length) {
    const left = bytes.length - at;
    if (left < HEADER_LENGTH) return { malformed: `${left} bytes left are too few for a message` };
    const length = readU32(bytes, at);
    if (length < HEADER_LENGTH || length > left)
      return { malformed: `length ${length} of a message where ${left} bytes are left` };
    messages.push({
      type: readU16(bytes, at + 4),
      flags: readU16(bytes, at + 6),
      sequence: readU32(bytes, at + 8),
      portId: readU32(bytes, at + 12),
      body: bytes.subarray(at + HEADER_LENGTH, at + length),
    });
    at += align(length);
  }
  return messages;
}

/** Whether a decoder refused its input. */
export function isMalformed(value: object): value is Malformed {
  return 'malformed' in value;
}
