/**
 * Sends requests that change something, many per datagram, and collects the refused ones. Only the last message of a
 * datagram asks for an acknowledgement: the kernel works in order and reports each refusal in any case.
 */
import { CodedError } from '../../lib/errors.ts';
import { decodeAcknowledgement } from './acknowledgement.ts';
import { align, IS_LITTLE_ENDIAN } from './bytes.ts';
import { NLM_F_ACK, NLMSG_ERROR } from './constants.ts';
import { errnoName, errnoText } from './errno.ts';
import { isMalformed, type Message, readMessages } from './message.ts';
import { MessageWriter } from './message-writer.ts';
import type { Datagrams } from './socket.ts';
import { type NextTurn, nextTurn } from './turn.ts';

/** Writes one message with a sequence number, or returns why it cannot be written. */
export type WriteRequest = (writer: MessageWriter, sequence: number) => string | undefined;

/** A request that failed. */
export interface Failure {
  /** Its place in the list. */
  readonly index: number;
  /** Name of the error number, such as `EEXIST`; undefined when the request was not sent. */
  readonly code: string | undefined;
  /** The kernel's explanation. */
  readonly message: string;
}

const MAX_CHUNK = 256;
const FIRST_CHUNK = 32;
/** How long the event loop may wait for a chunk. */
const CHUNK_MS = 1;
const FLAGS_OFFSET = 6;
const MAX_SEQUENCE = 0xffff_fff0;

export interface RequesterOptions {
  /** Lets the event loop do other work; default: setImmediate. */
  readonly turn?: NextTurn | undefined;
}

export class Requester {
  readonly #socket: Datagrams;
  readonly #turn: NextTurn;
  readonly #writer = new MessageWriter();
  #sequence = 0;

  constructor(socket: Datagrams, { turn = nextTurn }: RequesterOptions = {}) {
    this.#socket = socket;
    this.#turn = turn;
  }

  /**
   * Sends all requests in order and returns those that failed; a failure does not stop the others. Lets the event loop
   * run between chunks, so calls that overlap are mixed. Throws CodedError NETLINK when the kernel does not answer.
   */
  async run(requests: readonly WriteRequest[]): Promise<Failure[]> {
    const failures: Failure[] = [];
    let size = FIRST_CHUNK;
    for (let at = 0; at < requests.length; ) {
      if (at > 0) await this.#turn();
      const end = Math.min(at + size, requests.length);
      const started = performance.now();
      this.#runChunk(requests, at, end, failures);
      const tookMs = performance.now() - started;
      // The creation of a link takes a hundred times as long as that of a route.
      size = Math.max(1, Math.min(MAX_CHUNK, tookMs > CHUNK_MS ? size >> 1 : size * 2));
      at = end;
    }
    return failures;
  }

  /** As `run`, in one datagram and without a wait: for the other network namespaces that a thread visits. */
  runNow(requests: readonly WriteRequest[]): Failure[] {
    const failures: Failure[] = [];
    this.#runChunk(requests, 0, requests.length, failures);
    return failures;
  }

  /**
   * Sends one request that reads one object. Returns the kernel's answer, whose body is a view until the next call, or
   * why it refused. Throws CodedError NETLINK when the kernel does not answer.
   */
  query(request: WriteRequest): Message | Failure {
    const writer = this.#writer;
    writer.reset();
    const sequence = this.#next();
    const refusal = request(writer, sequence);
    if (refusal !== undefined) return { index: 0, code: undefined, message: refusal };
    this.#socket.send(writer.bytes());
    for (const message of this.#answers(sequence)) {
      if (message.sequence !== sequence) continue;
      if (message.type !== NLMSG_ERROR) return message;
      const failure = failureOf(message, 0);
      if (failure) return failure;
    }
    throw noAnswer();
  }

  /** Sends the requests from `at` to `end` in one datagram and receives the answers. */
  #runChunk(requests: readonly WriteRequest[], at: number, end: number, failures: Failure[]): void {
    const writer = this.#writer;
    writer.reset();
    /** Index of the request of each sequence number from `first`. */
    const sent: number[] = [];
    const first = this.#sequence + 1;
    let last = -1;
    for (let index = at; index < end; index++) {
      const start = writer.length;
      const refusal = requests[index]?.(writer, first + sent.length);
      if (refusal !== undefined) failures.push({ index, code: undefined, message: refusal });
      if (writer.length === start) continue;
      last = start;
      sent.push(index);
    }
    if (last < 0) return;
    this.#sequence += sent.length;
    if (this.#sequence > MAX_SEQUENCE) this.#sequence = 0;
    demandAcknowledgement(writer.bytes(), last);
    this.#socket.send(writer.bytes());
    const until = first + sent.length - 1;
    for (const message of this.#answers(until)) {
      const index = sent[message.sequence - first];
      if (index === undefined || message.type !== NLMSG_ERROR) continue;
      const failure = failureOf(message, index);
      if (failure) failures.push(failure);
      if (message.sequence === until) return;
    }
    throw noAnswer();
  }

  /** Yields messages until the socket is empty. */
  *#answers(until: number): Generator<Message> {
    for (;;) {
      const bytes = this.#socket.receive();
      if (bytes === 'empty') return;
      if (bytes === 'lost' || bytes === 'truncated')
        throw new CodedError('NETLINK', `netlink: answers are ${bytes} before number ${until}`);
      const messages = readMessages(bytes);
      if (isMalformed(messages)) throw new CodedError('NETLINK', `netlink: ${messages.malformed}`);
      yield* messages;
    }
  }

  #next(): number {
    this.#sequence = this.#sequence >= MAX_SEQUENCE ? 1 : this.#sequence + 1;
    return this.#sequence;
  }
}

/** Sets NLM_F_ACK in the message that starts at an offset, and nowhere else. */
function demandAcknowledgement(bytes: Uint8Array, last: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < bytes.length; at += align(view.getUint32(at, IS_LITTLE_ENDIAN))) {
    const flags = view.getUint16(at + FLAGS_OFFSET, IS_LITTLE_ENDIAN);
    view.setUint16(at + FLAGS_OFFSET, at === last ? flags | NLM_F_ACK : flags & ~NLM_F_ACK, IS_LITTLE_ENDIAN);
  }
}

/** Returns the failure that an answer reports; undefined for success. Throws CodedError NETLINK. */
function failureOf(answer: Message, index: number): Failure | undefined {
  const acknowledgement = decodeAcknowledgement(answer);
  if (isMalformed(acknowledgement)) throw new CodedError('NETLINK', `netlink: ${acknowledgement.malformed}`);
  const { errno, message } = acknowledgement;
  if (errno === 0) return undefined;
  return { index, code: errnoName(errno), message: message ?? errnoText(errno) };
}

function noAnswer(): CodedError {
  return new CodedError('NETLINK', 'netlink: the kernel did not answer');
}
