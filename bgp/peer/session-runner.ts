/**
 * Runs one finite state machine, with its session value, connection and timers. It reads the peer's settings on each
 * use, so each attempt uses the current ones. After `close` it ignores all events.
 */
import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '../../lib/errors.ts';
import type { Time } from '../../lib/time.ts';
import { step } from '../session/fsm.ts';
import { negotiate } from '../session/negotiate.ts';
import { offeredOpen } from '../session/offer.ts';
import {
  type Action,
  type Event,
  idleSession,
  type Session,
  type SessionConfig,
  type Step,
  type Timer,
} from '../session/session.ts';
import type { Connection, ConnectionEvents, Incoming, Remote, Transport } from '../transport/port.ts';
import type { Frame } from '../wire/framer.ts';
import { ErrorCode, MessageType } from '../wire/iana.ts';
import {
  decodeMessage,
  encodeMessage,
  type MessageContext,
  type OutgoingMessage,
  type RouteRefreshMessage,
} from '../wire/message.ts';
import type { NotificationMessage } from '../wire/notification.ts';
import { notification } from '../wire/notification.ts';
import type { OpenMessage } from '../wire/open.ts';
import { WireError } from '../wire/wire-error.ts';

export interface SessionRunnerEvents {
  /** The state changed. */
  transition(from: Session, to: Session, reason: string | undefined): void;
  /** Performs an action other than those for connections and timers. */
  act(action: Action): void;
  /** Decides on an acceptable OPEN: `admit` it, close the connection (`refuse`), or let it `wait` until `resume`. */
  admitOpen(open: OpenMessage): 'admit' | 'refuse' | 'wait';
  /** Receives the body of an UPDATE in Established. Throws WireError to reset the session. */
  update(body: Uint8Array): void;
  refresh(message: RouteRefreshMessage): void;
  /** Receives the bytes of each message in either direction. */
  traffic(direction: 'received' | 'sent', message: Uint8Array): void;
  drained(): void;
  /** A callback of a connection or a timer threw. Must not throw. */
  fault(error: unknown): void;
}

/** RFC 9687: longer than the hold time, and long enough for a busy peer. */
const MIN_SEND_HOLD_SECONDS = 480;
/** Wait before a look at the acknowledgements. On a fast path, Linux retransmits after 0.2, 0.6 and 1.4 s. */
const RESET_LOOK_MS = 1_000;

export class SessionRunner {
  #session: Session = idleSession;
  #connection: Connection | undefined;
  readonly #timers = new Map<Timer, { cancel: () => void; deadline: number }>();
  readonly #readConfig: () => SessionConfig;
  readonly #readRemote: () => Remote;
  readonly #isRestarting: () => boolean;
  readonly #clock: Time;
  readonly #transport: Transport;
  readonly #events: SessionRunnerEvents;
  /** Octets that the kernel had accepted at its last progress, and the time of that. */
  #progress = { delivered: 0, at: 0 };
  /** Bytes of the current session's OPENs, for BMP. */
  opens: { sent?: Uint8Array; received?: Uint8Array } = {};
  #isClosed = false;
  /** The peer's OPEN, and the settings that it was negotiated with. */
  #agreed: { open: OpenMessage; config: SessionConfig } | undefined;
  #waiting: OpenMessage | undefined;

  constructor(
    options: { config: () => SessionConfig; remote: () => Remote; isRestarting: () => boolean },
    modules: { clock: Time; transport: Transport; events: SessionRunnerEvents },
  ) {
    this.#readConfig = options.config;
    this.#readRemote = options.remote;
    this.#isRestarting = options.isRestarting;
    this.#clock = modules.clock;
    this.#transport = modules.transport;
    this.#events = modules.events;
  }

  get session(): Session {
    return this.#session;
  }

  get connection(): Connection | undefined {
    return this.#connection;
  }

  /** Context to encode and decode messages: the negotiated one, or the default before negotiation. */
  get context(): MessageContext {
    const { negotiated } = this.#session;
    if (negotiated) return { ...negotiated, addPath: negotiated.addPathReceive };
    const { localAs, asNumber } = this.#readConfig();
    return { isFourOctetAs: true, isIbgp: localAs === asNumber };
  }

  /** The peer's OPEN while it waits to be admitted. */
  get waiting(): OpenMessage | undefined {
    return this.#waiting;
  }

  /** Starts with the failure counts of another runner of the peer. */
  inherit({ failures, shortLived }: Session): void {
    this.#session = { ...this.#session, failures, shortLived };
  }

  /** Accepts an incoming connection. Throws CodedError BGP_SOCKET when its options cannot be set. */
  accept(incoming: Incoming): void {
    this.#connection = incoming.accept(this.#readRemote(), this.#connectionEvents());
    this.handle({ type: 'connected' });
  }

  /** Continues with the OPEN that waits. */
  resume(): void {
    const open = this.#waiting;
    if (!open) return;
    this.#waiting = undefined;
    this.#admit(open, step(this.#session, { type: 'open', message: open }, this.#readConfig()));
    this.#connection?.resume();
  }

  /**
   * Whether the current settings would result in the same session: the same OPEN of ours, and the same negotiation with
   * the peer's OPEN. A changed interval of KEEPALIVEs is applied at once.
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

  /** Applies the current key and minimum TTL to the connection. Throws CodedError BGP_SOCKET. */
  secure(): void {
    this.#connection?.secure(this.#readRemote());
  }

  send(message: OutgoingMessage): void {
    const bytes = encodeMessage(message, this.context);
    if (message.type === 'open') this.opens = { sent: bytes };
    this.#events.traffic('sent', bytes);
    this.#connection?.send(bytes);
  }

  /** Passes an event to the state machine and performs its actions. */
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
      this.#connection = this.#transport.dial(this.#readRemote(), this.#connectionEvents());
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
    // Every message restarts the hold timer, so only its deadline changes. The running timer checks it when it fires.
    if (timer === 'hold' && running && deadline >= running.deadline) {
      running.deadline = deadline;
      return;
    }
    running?.cancel();
    // RFC 4271 section 10: jitter for all timers except the hold timer.
    const factor = timer === 'hold' ? 1 : 0.75 + this.#clock.random() / 4;
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

  /** RFC 9687: ends the session when the peer has read nothing within the send hold time. */
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

  /** With GTSM, which would drop the RST of a restarted peer: admits it while a KEEPALIVE stays unacknowledged. */
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
    // Does the work of the state machine directly, because UPDATEs are frequent.
    if (negotiated!.holdTimeSeconds > 0) this.#startTimer('hold', negotiated!.holdTimeSeconds);
    this.#events.update(body);
  }

  #receiveOpen(message: OpenMessage, bytes: Uint8Array): void {
    this.opens.received = bytes.slice();
    const outcome = step(this.#session, { type: 'open', message }, this.#readConfig());
    // An OPEN that the state machine refuses does not compete with other connections.
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
