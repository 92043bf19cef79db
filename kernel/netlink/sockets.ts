/** The sockets of one netlink protocol in one network namespace, opened when needed. */
import { dump } from './dump.ts';
import type { Message } from './message.ts';
import { type Failure, Requester } from './request.ts';
import { NetlinkSocket } from './socket.ts';
import type { WriteRequest } from './write-request.ts';

export class Sockets {
  readonly #protocol: number;
  readonly #netns: string | undefined;
  #socket: NetlinkSocket | undefined;
  #requester: Requester | undefined;

  /** `protocol`: NETLINK_*. `netns`: file of the network namespace; default: this thread's. */
  constructor(protocol: number, netns?: string) {
    this.#protocol = protocol;
    this.#netns = netns;
  }

  /** Opens the socket for requests, so that the file of the namespace is not needed again. Throws CodedError NETNS. */
  open(): Requester {
    if (this.#requester) return this.#requester;
    this.#socket = new NetlinkSocket({ protocol: this.#protocol, netns: this.#netns });
    this.#requester = new Requester(this.#socket);
    return this.#requester;
  }

  /** See Requester.run. After an error, the next call uses a new socket. */
  run(requests: readonly WriteRequest[]): Promise<Failure[]> {
    return this.#guard((requester) => requester.run(requests));
  }

  /** See Requester.query. */
  query<T>(request: WriteRequest, read: (answer: Message) => T): Promise<T | Failure> {
    return this.#guard((requester) => requester.query(request, read));
  }

  /** See Requester.queryAll. */
  queryAll<T>(requests: readonly WriteRequest[], read: (answer: Message) => T): Promise<(T | Failure)[]> {
    return this.#guard((requester) => requester.queryAll(requests, read));
  }

  /** See dump.ts. */
  dump<T>(request: WriteRequest, read: (message: Message) => T | undefined): Promise<T[]> {
    const open = (bufferLength: number) =>
      new NetlinkSocket({ protocol: this.#protocol, netns: this.#netns, bufferLength });
    return dump(open, request, read);
  }

  close(): void {
    this.#socket?.close();
    this.#socket = undefined;
    this.#requester = undefined;
  }

  async #guard<T>(work: (requester: Requester) => Promise<T>): Promise<T> {
    const requester = this.open();
    try {
      return await work(requester);
    } catch (error) {
      if (this.#requester === requester) this.close();
      throw error;
    }
  }
}
