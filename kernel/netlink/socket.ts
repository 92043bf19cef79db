/** A netlink socket: datagrams to the kernel and from it. It never blocks the event loop. */
import { CodedError } from '../../lib/errors.ts';
import { errnoName, errnoText } from './errno.ts';
import { inNamespace } from './namespace.ts';
import { type SystemCalls, systemCalls } from './system-calls.ts';

export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;

const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;
/** The kernel puts at most 32 KiB of a dump into a datagram, unless a single object is larger. */
export const BUFFER_LENGTH = 65_536;
const RECEIVE_BUFFER = 4 << 20;
const SEND_BUFFER = 1 << 20;

const EINTR = 4;
const EAGAIN = 11;
const ENOBUFS = 105;

/** What `receive` returns when there is no datagram. */
export type NoDatagram = 'empty' | 'lost' | 'truncated';

/** Datagrams to and from the kernel, as requests and dumps use them. */
export interface Datagrams {
  /**
   * Sends messages in one datagram, which must not change meanwhile. The kernel has worked on them when this resolves.
   * Throws CodedError NETLINK.
   */
  send(bytes: Uint8Array): Promise<void>;
  /**
   * Returns a datagram, a view that the next call overwrites; `empty` if there is none now; `lost` if the kernel
   * dropped some because the socket's buffer was full (ENOBUFS); `truncated` if one was larger than the buffer, which
   * has grown for the next. Throws CodedError NETLINK.
   */
  receive(): Uint8Array | NoDatagram;
  /** As `receive`, for the datagrams of a dump: the kernel makes the next one meanwhile. */
  receiveLater(): Promise<Uint8Array | NoDatagram>;
  close(): void;
}

export interface SocketOptions {
  /** NETLINK_ROUTE or NETLINK_NETFILTER (linux/netlink.h). */
  readonly protocol: number;
  /** File of the network namespace; default: this thread's. */
  readonly netns?: string | undefined;
  /** Mask of multicast groups (linux/rtnetlink.h RTMGRP_*); default: none. */
  readonly groups?: number | undefined;
  /** Size of the kernel's buffer of answers and events, in octets. */
  readonly receiveBuffer?: number | undefined;
  /** Length of the buffer for one datagram. */
  readonly bufferLength?: number | undefined;
}

export class NetlinkSocket implements Datagrams {
  readonly fd: number;
  readonly #calls: SystemCalls;
  #buffer: Uint8Array;
  #isClosed = false;
  /** Calls on other threads. */
  #inProgress = 0;

  /** Throws CodedError NETLINK, NETNS when the namespace cannot be entered, CONFIG without koffi. */
  constructor(
    {
      protocol,
      netns,
      groups = 0,
      receiveBuffer = RECEIVE_BUFFER,
      bufferLength = BUFFER_LENGTH,
    }: SocketOptions,
    calls: SystemCalls = systemCalls(),
  ) {
    this.#calls = calls;
    this.#buffer = Buffer.allocUnsafeSlow(bufferLength);
    const open = () => calls.socket(protocol);
    const where = netns === undefined ? '' : ` in network namespace ${netns}`;
    this.fd = demand(`socket${where}`, netns === undefined ? open() : inNamespace(netns, open, calls));
    try {
      this.#configure(receiveBuffer);
      demand('bind', calls.bind(this.fd, groups));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  async send(bytes: Uint8Array): Promise<void> {
    const sent = demand('send', await this.#later(() => this.#calls.send(this.fd, bytes)));
    if (sent !== bytes.length)
      throw new CodedError('NETLINK', `netlink: the kernel took ${sent} of ${bytes.length} octets`);
  }

  receive(): Uint8Array | NoDatagram {
    this.#assertOpen();
    for (;;) {
      const length = this.#calls.receive(this.fd, this.#buffer);
      if (length !== -EINTR) return this.#datagram(length);
    }
  }

  async receiveLater(): Promise<Uint8Array | NoDatagram> {
    return this.#datagram(await this.#later(() => this.#calls.receiveLater(this.fd, this.#buffer)));
  }

  /** A call that is in progress ends first. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#inProgress === 0) this.#calls.close(this.fd);
  }

  /** Runs a call on another thread, again if a signal interrupted it. */
  async #later(call: () => Promise<number>): Promise<number> {
    for (;;) {
      this.#assertOpen();
      this.#inProgress++;
      try {
        const result = await call();
        if (result !== -EINTR) return result;
      } finally {
        this.#inProgress--;
        if (this.#isClosed && this.#inProgress === 0) this.#calls.close(this.fd);
      }
    }
  }

  #datagram(length: number): Uint8Array | NoDatagram {
    if (length === -EAGAIN) return 'empty';
    if (length === -ENOBUFS) return 'lost';
    demand('recv', length);
    if (length <= this.#buffer.length) return this.#buffer.subarray(0, length);
    this.#buffer = Buffer.allocUnsafeSlow(length * 2);
    return 'truncated';
  }

  /** A closed descriptor may belong to another file by now. */
  #assertOpen(): void {
    if (this.#isClosed) throw new CodedError('NETLINK', 'netlink: the socket is closed');
  }

  /** Old kernels lack some of the options. Without the right to exceed the limits, the buffers stay smaller. */
  #configure(receiveBuffer: number): void {
    const { setOption } = this.#calls;
    if (setOption(this.fd, SOL_SOCKET, SO_RCVBUFFORCE, receiveBuffer) < 0)
      setOption(this.fd, SOL_SOCKET, SO_RCVBUF, receiveBuffer);
    setOption(this.fd, SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER);
    for (const option of [NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK])
      setOption(this.fd, SOL_NETLINK, option, 1);
  }
}

/** Returns a call's result. Throws CodedError NETLINK if it is an error. */
function demand(call: string, result: number): number {
  if (result >= 0) return result;
  throw new CodedError('NETLINK', `netlink ${call}: ${errnoText(-result)} (${errnoName(-result)})`);
}
