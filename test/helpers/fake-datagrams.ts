/** A netlink socket in memory: it records what is sent, and returns prepared datagrams. */
import { type Message, readMessages } from '../../kernel/netlink/message.ts';
import { MessageWriter } from '../../kernel/netlink/message-writer.ts';
import type { Datagrams, NoDatagram } from '../../kernel/netlink/socket.ts';

export class FakeDatagrams implements Datagrams {
  /** Messages of each datagram that was sent. */
  readonly sent: Message[][] = [];
  readonly queue: (Uint8Array | NoDatagram)[] = [];
  isClosed = false;
  /** Called with the messages of each datagram that is sent; it can fill `queue`. */
  readonly #answer: (messages: readonly Message[], fake: FakeDatagrams) => void;

  constructor(answer: (messages: readonly Message[], fake: FakeDatagrams) => void = () => undefined) {
    this.#answer = answer;
  }

  async send(bytes: Uint8Array): Promise<void> {
    const messages = readMessages(bytes.slice());
    if (!Array.isArray(messages)) throw new Error(messages.malformed);
    this.sent.push(messages);
    this.#answer(messages, this);
  }

  receive(): Uint8Array | NoDatagram {
    return this.queue.shift() ?? 'empty';
  }

  async receiveLater(): Promise<Uint8Array | NoDatagram> {
    return this.receive();
  }

  close(): void {
    this.isClosed = true;
  }
}

/** Returns a datagram of one message. */
export function datagram(type: number, flags: number, sequence: number, body: Uint8Array): Uint8Array {
  const writer = new MessageWriter(64);
  writer.begin(type, flags, sequence);
  writer.append(body);
  writer.end();
  return writer.bytes().slice();
}

/** Returns the acknowledgement of a request: NLMSG_ERROR with an error number and the request's header. */
export function acknowledgement(errno: number, sequence: number): Uint8Array {
  const body = new Uint8Array(20);
  new Int32Array(body.buffer)[0] = -errno;
  return datagram(2, 0x100, sequence, body);
}
