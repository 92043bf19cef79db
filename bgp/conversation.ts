/**
 * One finite state machine at work: its session value, its connection, its timers. It reads the peer's settings when it
 * uses them, so that each attempt is made with those of now. Once closed it does nothing any more.
 */
import type { Socket } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import { step } from './session/fsm.ts';
import { negotiate } from './session/negotiate.ts';
import { offeredOpen } from './session/offer.ts';
import {
  type Action,
  type Event,
  idleSession,
  type Session,
  type SessionConfig,
  type Step,
  type Timer,
} from './session/session.ts';
import { Connection, type ConnectionEvents, type Remote } from './transport/connection.ts';
import type { Frame } from './wire/framer.ts';
import { ErrorCode, MessageType } from './wire/iana.ts';
import {
  decodeMessage,
  encodeMessage,
  type MessageContext,
  type OutgoingMessage,
  type RouteRefreshMessage,
} from './wire/message.ts';
import type { NotificationMessage } from './wire/notification.ts';
import { notification } from './wire/notification.ts';
import type { OpenMessage } from './wire/open.ts';
import { WireError } from './wire/wire-error.ts';

export interface ConversationEvents {
  /** Every transition, once. */
  transition(from: Session, to: Session, reason: string | undefined): void;
  /** What the machine asks for beyond connections and timers. */
  act(action: Action): void;
  /** An acceptable OPEN arrived: `admit` it, close the connection (`refuse`), or let it `wait` until `resume`. */
  admitOpen(open: OpenMessage): 'admit' | 'refuse' | 'wait';
  /** Body of an UPDATE of the established session. Throws WireError for one that costs the session. */
  update(body: Uint8Array): void;
  refresh(message: RouteRefreshMessage): void;
  /** Every message in either direction, as it is on the wire. */
  traffic(direction: 'received' | 'sent', message: Uint8Array): void;
  drained(): void;
  /** A callback of a connection or a timer threw. Must not throw. */
  fault(error: unknown): void;
}

/** RFC 9687: longer than the hold time, and long enough for a peer that is merely busy. */
const MIN_SEND_HOLD_SECONDS = 480;
/** Linux retransmits a KEEPALIVE 0.2, 0.6 and 1.4 s later on a fast path. */
const RESET_LOOK_MS = 1_000;

export class Conversation {
  #session: Session = idleSession;
  #connection: Connection | undefined;
  readonly #timers = new Map<Timer, { cancel: () => void; deadline: number }>();
  readonly #readConfig: () => SessionConfig;
  readonly #readRemote: () => Remote;
  readonly #isRestarting: () => boolean;
  readonly #clock: Clock;
  readonly #events: ConversationEvents;
  /** What the kernel had taken when it last took anything, and when that was. */
  #progress = { delivered: 0, at: 0 };
  /** The OPENs of the session at hand, as they were on the wire: for BMP. */
  opens: { sent?: Uint8Array; received?: Uint8Array } = {};
  #isClosed = false;
  /** The peer's OPEN, and the settings that ours was made from. */
  #agreed: { open: OpenMessage; config: SessionConfig } | undefined;
  #waiting: OpenMessage | undefined;

  constructor(
    options: { config: () => SessionConfig; remote: () => Remote; isRestarting: () => boolean },
    modules: { clock: Clock; events: ConversationEvents },
  ) {
    this.#readConfig = options.config;
    this.#readRemote = options.remote;
    this.#isRestarting = options.isRestarting;
    this.#clock = modules.clock;
    this.#events = modules.events;
  }

  get session(): Session {
    return this.#session;
  }

  get connection(): Connection | undefined {
    return this.#connection;
  }

  /** How messages of the session look: what was negotiated, or what holds before. */
  get context(): MessageContext {
    const { negotiated } = this.#session;
    if (negotiated) return { ...negotiated, addPath: negotiated.addPathReceive };
    const { localAs, peerAs } = this.#readConfig();
    return { isFourOctetAs: true, isIbgp: localAs === peerAs };
  }

  /** The peer's OPEN, which waits to be admitted. */
  get waiting(): OpenMessage | undefined {
    return this.#waiting;
  }

  /** Counts failures on from those of another conversation with the peer. */
  inherit({ failures, shortLived }: Session): void {
    this.#session = { ...this.#session, failures, shortLived };
  }

  /** Takes a connection that came in. Throws CodedError BGP_SOCKET when its options cannot be had. */
  accept(socket: Socket): void {
    this.#connection = Connection.accept(socket, this.#readRemote(), this.#connectionEvents());
    this.handle({ type: 'connected' });
  }

  /** Goes on with an OPEN that waited. */
  resume(): void {
    const open = this.#waiting;
    if (!open) return;
    this.#waiting = undefined;
    this.#admit(open, step(this.#session, { type: 'open', message: open }, this.#readConfig()));
    this.#connection?.resume();
  }

  /**
   * Whether the session would be the same had it been opened with the settings of now: the same OPEN, and the same
   * outcome of the peer's. The interval of KEEPALIVEs is taken over at once.
   */
  agreesWithConfig(): boolean {
    const { negotiated } = this.#session;
    if (!negotiated || !this.#agreed) return false;
    const { open, config: before } = this.#agreed;
    const config = this.#readConfig();
    if (!isDeepStrictEqual(offeredOpen(config, false), offeredOpen(before, false))) return false;
    try {
      const { keepaliveSeconds, ...rest } = negotiate(open, config);
      if (!isDeepStrictEqual({ ...rest, keepaliveSeconds: negotiated.keepaliveSeconds }, negotiated))
        return false;
      this.#session = { ...this.#session, negotiated: { ...negotiated, keepaliveSeconds } };
      return true;
    } catch (error) {
      if (error instanceof WireError) return false;
      throw error;
    }
  }

  /** Applies key and minimum TTL of now to the running connection. Throws CodedError BGP_SOCKET. */
  secure(): void {
    this.#connection?.secure(this.#readRemote());
  }

  send(message: OutgoingMessage): void {
    const bytes = encodeMessage(message, this.context);
    if (message.type === 'open') this.opens = { sent: bytes };
    this.#events.traffic('sent', bytes);
    this.#connection?.send(bytes);
  }

  /** Feeds an event to the machine and performs what it says. */
  handle(event: Event): void {
    this.#apply(step(this.#session, event, this.#readConfig()));
  }

  #apply({ next, actions, reason }: Step): void {
    if (this.#isClosed) return;
    const from = this.#session;
    this.#session = next;
    for (const action of actions) this.#perform(action);
    if (next.state !== from.state) this.#events.transition(from, next, reason);
  }

  /** Closes the connection without NOTIFICATION and stops every timer, for good. */
  close(): void {
    this.#isClosed = true;
    this.#connection?.close();
    this.#connection = undefined;
    this.#waiting = undefined;
    this.#session = idleSession;
    for (const { cancel } of this.#timers.values()) cancel();
    this.#timers.clear();
  }

  #perform(action: Action): void {
    switch (action.type) {
      case 'connect':
        this.#dial();
        break;
      case 'disconnect':
        this.#connection?.close();
        this.#connection = undefined;
        this.#waiting = undefined;
        break;
      case 'sendOpen':
        this.#sendOpen();
        break;
      case 'sendKeepalive':
        this.send({ type: 'keepalive' });
        this.#checkProgress();
        this.#watchForReset();
        break;
      case 'sendNotification':
        this.send({ type: 'notification', ...action.notification });
        break;
      case 'startTimer':
        this.#startTimer(action.timer, action.seconds);
        break;
      case 'stopTimer':
        this.#timers.get(action.timer)?.cancel();
        this.#timers.delete(action.timer);
        break;
      default:
        this.#events.act(action);
    }
  }

  #dial(): void {
    try {
      this.#connection = Connection.dial(this.#readRemote(), this.#connectionEvents());
    } catch (error) {
      const reason = messageOf(error);
      this.#clock.after(0, () => this.#guard(() => this.handle({ type: 'disconnected', reason })));
    }
  }

  #sendOpen(): void {
    this.send(offeredOpen(this.#readConfig(), this.#isRestarting()));
  }

  #startTimer(timer: Timer, seconds: number): void {
    const deadline = this.#clock.now() + seconds * 1000;
    const running = this.#timers.get(timer);
    // Every message restarts the hold timer: the running one looks at its new deadline when it ends.
    if (timer === 'hold' && running && deadline >= running.deadline) {
      running.deadline = deadline;
      return;
    }
    running?.cancel();
    // RFC 4271 section 10: jitter on everything but the hold timer.
    const factor = timer === 'hold' ? 1 : 0.75 + Math.random() / 4;
    this.#arm(timer, deadline, seconds * 1000 * factor);
  }

  #arm(timer: Timer, deadline: number, delayMs: number): void {
    const entry = { deadline, cancel: () => {} };
    entry.cancel = this.#clock.after(delayMs, () => {
      const left = entry.deadline - this.#clock.now();
      if (timer === 'hold' && left > 0) {
        this.#arm(timer, entry.deadline, left);
        return;
      }
      this.#timers.delete(timer);
      this.#guard(() => this.handle({ type: 'timer', timer }));
    });
    this.#timers.set(timer, entry);
  }

  #guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#events.fault(error);
    }
  }

  /** RFC 9687: a peer that takes nothing for long is as good as gone. */
  #checkProgress(): void {
    const now = this.#clock.now();
    const { delivered = 0, queued = 0 } = this.#connection ?? {};
    if (queued === 0 || delivered !== this.#progress.delivered) {
      this.#progress = { delivered, at: now };
      return;
    }
    const limit = Math.max(MIN_SEND_HOLD_SECONDS, 2 * (this.#session.negotiated?.holdTimeSeconds ?? 0));
    if (now - this.#progress.at < limit * 1000) return;
    const reason = `send hold timer expired: the peer has read nothing for ${limit} s`;
    this.handle({ type: 'error', notification: notification(ErrorCode.SEND_HOLD_TIMER_EXPIRED), reason });
  }

  /** Looks whether a KEEPALIVE is acknowledged, where GTSM would hide the RST of a peer that restarted. */
  #watchForReset(): void {
    const connection = this.#connection;
    const remote = this.#readRemote();
    if (!connection || remote.ttlSecurityHops === undefined) return;
    this.#clock.after(RESET_LOOK_MS, () =>
      this.#guard(() => {
        if (this.#connection === connection && connection.admitResets(this.#readRemote()))
          this.#watchForReset();
      }),
    );
  }

  #connectionEvents(): ConnectionEvents {
    return {
      connected: () => this.handle({ type: 'connected' }),
      frame: (frame) => this.#receive(frame),
      error: (body, reason) => this.handle({ type: 'error', notification: body, reason }),
      disconnected: (reason) => {
        this.#connection = undefined;
        this.#waiting = undefined;
        this.handle({ type: 'disconnected', reason });
      },
      drained: () => this.#events.drained(),
      fault: (error) => this.#events.fault(error),
    };
  }

  #receive(frame: Frame): void {
    this.#events.traffic('received', frame.message);
    if (frame.type === MessageType.UPDATE) {
      this.#receiveUpdate(frame.body);
      return;
    }
    const message = decodeMessage(frame, this.context);
    switch (message.type) {
      case 'open':
        this.#receiveOpen(message, frame.message);
        break;
      case 'notification':
        this.handle({ type: 'notification', message: message satisfies NotificationMessage });
        break;
      case 'keepalive':
        this.handle({ type: 'keepalive' });
        break;
      case 'route-refresh':
        this.handle({ type: 'refresh' });
        if (this.#session.state === 'Established') this.#events.refresh(message);
        break;
      default:
        throw new WireError(ErrorCode.MESSAGE_HEADER, 0, `unexpected ${message.type}`);
    }
  }

  #receiveUpdate(body: Uint8Array): void {
    const { state, negotiated } = this.#session;
    if (state !== 'Established') {
      this.handle({ type: 'update' });
      return;
    }
    // What the machine would do, for what comes a hundred thousand times.
    if (negotiated!.holdTimeSeconds > 0) this.#startTimer('hold', negotiated!.holdTimeSeconds);
    this.#events.update(body);
  }

  #receiveOpen(message: OpenMessage, bytes: Uint8Array): void {
    this.opens.received = bytes.slice();
    const outcome = step(this.#session, { type: 'open', message }, this.#readConfig());
    // One that the machine refuses concerns no other connection.
    if (this.#session.state !== 'OpenSent' || !outcome.next.negotiated) {
      this.#apply(outcome);
      return;
    }
    switch (this.#events.admitOpen(message)) {
      case 'admit':
        this.#admit(message, outcome);
        break;
      case 'wait':
        this.#waiting = message;
        this.#connection?.pause();
        break;
      case 'refuse':
        this.handle({ type: 'collision' });
        break;
      default:
        throw new Error('unreachable');
    }
  }

  #admit(open: OpenMessage, outcome: Step): void {
    this.#agreed = { open, config: this.#readConfig() };
    this.#apply(outcome);
    if (this.#session.negotiated?.hasExtendedMessages) this.#connection?.allowExtended();
  }
}
