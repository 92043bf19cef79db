/**
 * Sends requests that change something, many per datagram, and collects the refused ones. Only the last message of a
 * datagram asks for an acknowledgement: the kernel works in order and reports each refusal in any case.
 */
import { CodedError } from '../../lib/errors.ts';
import { Mutex } from '../../lib/mutex.ts';
import { decodeAcknowledgement } from './acknowledgement.ts';
import { align, IS_LITTLE_ENDIAN } from './bytes.ts';
import { NLM_F_ACK, NLMSG_ERROR } from './constants.ts';
import { errnoName, errnoText } from './errno.ts';
import { isMalformed, type Message, readMessages } from './message.ts';
import { MessageWriter } from './message-writer.ts';
import type { Datagrams } from './socket.ts';
import type { Refusal, WriteRequest } from './write-request.ts';

/** A request that failed; `message` is the kernel's explanation. */
export interface Failure extends Refusal {
  /** Its place in the list. */
  readonly index: number;
}

/** Messages in a datagram; twice as many are hardly faster. */
const MAX_MESSAGES = 256;
/** Queries in a datagram: their answers fit into the buffer that the kernel grants without privileges. */
const MAX_QUERIES = 64;
const FLAGS_OFFSET = 6;
const MAX_SEQUENCE = 0xffff_0000;

export class Requester {
  readonly #socket: Datagrams;
  readonly #mutex = new Mutex();
  readonly #writer = new MessageWriter();
  #sequence = 0;

  constructor(socket: Datagrams) {
    this.#socket = socket;
  }

  /**
   * Sends all requests in order and returns those that failed; a failure does not stop the others. The event loop runs
   * between datagrams, and other calls may send theirs. Throws CodedError NETLINK when the kernel does not answer.
   */
  async run(requests: readonly WriteRequest[]): Promise<Failure[]> {
    const failures: Failure[] = [];
    for (let at = 0; at < requests.length; at += MAX_MESSAGES) {
      const from = at;
      await this.#mutex.run(() => this.#runPart(requests, from, failures));
    }
    return failures;
  }

  /**
   * Sends requests that read one object each. Returns what `read` makes of each answer, or why there is none; `read`
   * must keep no view of the body. Throws CodedError NETLINK when the kernel does not answer.
   */
  async queryAll<T>(
    requests: readonly WriteRequest[],
    read: (answer: Message) => T,
  ): Promise<(T | Failure)[]> {
    const results: (T | Failure)[] = [];
    for (let at = 0; at < requests.length; at += MAX_QUERIES) {
      const part = requests.slice(at, at + MAX_QUERIES);
      results.push(...(await this.#mutex.run(() => this.#queryPart(part, read))));
    }
    return results;
  }

  /** As `queryAll`, for one request. */
  async query<T>(request: WriteRequest, read: (answer: Message) => T): Promise<T | Failure> {
    const [result] = await this.queryAll([request], read);
    if (result === undefined) throw noAnswer();
    return result;
  }

  async #queryPart<T>(
    requests: readonly WriteRequest[],
    read: (answer: Message) => T,
  ): Promise<(T | Failure)[]> {
    const writer = this.#writer;
    writer.reset();
    const first = this.#take(MAX_QUERIES);
    const results: (T | Failure | undefined)[] = requests.map((request, index) => {
      const refusal = request(writer, first + index);
      return refusal && { index, ...refusal };
    });
    let missing = results.filter((result) => result === undefined).length;
    if (missing > 0) await this.#socket.send(writer.bytes());
    const answers = this.#answers(first + requests.length - 1);
    while (missing > 0) {
      const { done, value: message } = answers.next();
      if (done) throw noAnswer();
      const index = message.sequence - first;
      if (index < 0 || index >= results.length || results[index] !== undefined) continue;
      const result = message.type === NLMSG_ERROR ? failureOf(message, index) : read(message);
      if (result === undefined) continue;
      results[index] = result;
      missing--;
    }
    return results.filter((result) => result !== undefined);
  }

  /** Sends the requests from an index on, as many as one datagram may hold, and adds those that failed. */
  async #runPart(requests: readonly WriteRequest[], from: number, failures: Failure[]): Promise<void> {
    const writer = this.#writer;
    writer.reset();
    const end = Math.min(from + MAX_MESSAGES, requests.length);
    const first = this.#take(MAX_MESSAGES);
    /** Index of the request with the sequence number `first`, and so on. */
    const sent: number[] = [];
    let last = -1;
    for (let index = from; index < end; index++) {
      const start = writer.length;
      const refusal = requests[index]?.(writer, first + sent.length);
      if (refusal) failures.push({ index, ...refusal });
      if (writer.length === start) continue;
      last = start;
      sent.push(index);
    }
    if (last < 0) return;
    demandAcknowledgement(writer.bytes(), last);
    await this.#socket.send(writer.bytes());
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

  /** Takes sequence numbers that follow each other, and returns the first. */
  #take(count: number): number {
    const first = this.#sequence >= MAX_SEQUENCE ? 1 : this.#sequence + 1;
    this.#sequence = first + count - 1;
    return first;
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
