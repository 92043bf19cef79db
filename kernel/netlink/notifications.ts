/**
 * Receives the kernel's notifications of changes. Each arrives at once, by a signal. When they follow each other
 * quickly, signals are switched off and the socket is read every 10 ms, so that a busy machine costs little.
 */
import { systemTime, type Time } from '../../lib/time.ts';
import { isMalformed, type Message, readMessages } from './message.ts';
import { whenReadable } from './readable.ts';
import { NETLINK_ROUTE, NetlinkSocket } from './socket.ts';

/** Multicast groups (linux/rtnetlink.h RTMGRP_*). */
const GROUPS = {
  link: 0x1,
  neighbour: 0x4,
  ipv4Address: 0x10,
  ipv4Route: 0x40,
  ipv6Address: 0x100,
  ipv6Route: 0x400,
  /** Unknown to kernels before 5.3, which ignore it. */
  nextHop: 0x8000_0000,
};
const ALL_GROUPS = Object.values(GROUPS).reduce((mask, group) => mask + group);
/** Holds about 8,000 notifications until they are read. */
const RECEIVE_BUFFER = 8 << 20;
/** Datagrams that are read at once, about 2 ms of work. */
const MAX_AT_ONCE = 1000;
/** Signals per window that are too many. */
const MAX_SIGNALS = 10;
const WINDOW_MS = 10;
const PAUSE_MS = 10;
/** Turns of MAX_AT_ONCE datagrams, more than the buffer holds. */
const MAX_TURNS = 32;

export interface NotificationHandler {
  /** Called per notification. `body` is a view that the next one overwrites. */
  message(message: Message): void;
  /** The kernel dropped notifications: anything may have changed. */
  lost(): void;
}

export interface NotificationOptions {
  /** File of the network namespace; default: this thread's. */
  readonly netns?: string | undefined;
  readonly receiveBuffer?: number | undefined;
  readonly time?: Time | undefined;
}

export class Notifications {
  readonly #socket: NetlinkSocket;
  readonly #handler: NotificationHandler;
  readonly #time: Time;
  #stopSignals: (() => void) | undefined;
  #cancelPause: (() => void) | undefined;
  #windowStart = 0;
  #signals = 0;
  #isClosed = false;

  /** Subscribes to links, neighbours, addresses and routes. Throws CodedError NETLINK, NETNS, CONFIG. */
  constructor(handler: NotificationHandler, options: NotificationOptions = {}) {
    const { receiveBuffer = RECEIVE_BUFFER, time = systemTime, netns } = options;
    this.#handler = handler;
    this.#time = time;
    this.#socket = new NetlinkSocket({ protocol: NETLINK_ROUTE, groups: ALL_GROUPS, receiveBuffer, netns });
    this.#pause(0);
  }

  /**
   * Reads what has arrived, without waiting. The kernel notifies before it acknowledges a change, so this includes all
   * changes that were acknowledged. Returns false if more arrives than can be read.
   */
  drain(): boolean {
    for (let turn = 0; turn < MAX_TURNS; turn++) if (this.#read() < MAX_AT_ONCE) return true;
    return false;
  }

  close(): void {
    this.#isClosed = true;
    this.#stopSignals?.();
    this.#cancelPause?.();
    this.#socket.close();
  }

  #startSignals(): void {
    this.#cancelPause = undefined;
    this.#stopSignals = whenReadable(this.#socket.fd, () => this.#signalled());
    // What arrived before caused no signal.
    this.#signalled();
  }

  #signalled(): void {
    const now = this.#time.monotonic();
    if (now - this.#windowStart > WINDOW_MS) {
      this.#windowStart = now;
      this.#signals = 0;
    }
    const isFull = this.#read() === MAX_AT_ONCE;
    if (!this.#isClosed && (isFull || ++this.#signals > MAX_SIGNALS)) this.#pause(isFull ? 0 : PAUSE_MS);
  }

  /** Reads by the clock until there is nothing to read. */
  #pause(delayMs: number): void {
    this.#stopSignals?.();
    this.#stopSignals = undefined;
    this.#cancelPause?.();
    this.#cancelPause = this.#time.after(delayMs, () => {
      const count = this.#read();
      if (this.#isClosed) return;
      if (count > 0) this.#pause(count === MAX_AT_ONCE ? 0 : PAUSE_MS);
      else this.#startSignals();
    });
  }

  /** Returns the number of datagrams. The handler may close this object. */
  #read(): number {
    let count = 0;
    let isLost = false;
    for (; count < MAX_AT_ONCE && !this.#isClosed; count++) {
      const messages = this.#receive();
      if (messages === 'empty') break;
      if (messages === 'lost') isLost = true;
      else for (const message of messages) this.#handler.message(message);
    }
    if (isLost && !this.#isClosed) this.#handler.lost();
    return count;
  }

  #receive(): Message[] | 'empty' | 'lost' {
    const bytes = this.#socket.receive();
    if (typeof bytes === 'string') return bytes === 'empty' ? bytes : 'lost';
    const messages = readMessages(bytes);
    return isMalformed(messages) ? 'lost' : messages;
  }
}
