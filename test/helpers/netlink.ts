/** Netlink messages in tests. */
import { type Attributes, readAttributes } from '../../kernel/netlink/attributes.ts';
import { isMalformed, type Malformed, type Message, readMessages } from '../../kernel/netlink/message.ts';

/** Returns the bytes of hexadecimal text, spaces ignored. */
export function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
}

/** Returns a decoder's result. Throws if it refused its input. */
export function must<T extends object>(value: T | Malformed): T {
  if (isMalformed(value)) throw new Error(value.malformed);
  return value;
}

/** Returns the only message. */
export function onlyMessage(bytes: Uint8Array): Message {
  const [message, ...more] = must(readMessages(bytes));
  if (!message || more.length > 0) throw new Error(`${more.length + 1} messages instead of one`);
  return message;
}

export function attributesAt(body: Uint8Array, offset: number): Attributes {
  return must(readAttributes(body, offset));
}
