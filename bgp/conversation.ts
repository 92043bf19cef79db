/** One finite state machine at work: its session value, its connection, its timers. */
import type { Socket } from 'node:net';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import { step } from './session/fsm.ts';
import { offeredCapabilities } from './session/offer.ts';
import {
  type Action,
  type Event,
  idleSession,
  type Session,
  type SessionConfig,
  type Timer,
} from './session/session.ts';
import { Connection, type ConnectionEvents, type Remote } from './transport/connection.ts';
import type { Frame } from './wire/framer.ts';
import { ErrorCode, MessageType } from './wire/iana.ts';
import {
  decodeMessage,
  encodeMessage,
  type OutgoingMessage,
  type RouteRefreshMessage,
} from './wire/message.ts';
import type { NotificationMessage } from './wire/notification.ts';
import { notification } from './wire/notification.ts';
import type { OpenMessage } from './wire/open.ts';
import type { UpdateContext } from './wire/update.ts';
import { WireError } from './wire/wire-error.ts';

export interface ConversationEvents {
  /** Every transition, once. */
  transition(from: Session, to: Session, reason: string | undefined): void;
  /** What the machine asks for beyond connections and timers. */
  act(action: Action): void;
  /** An OPEN arrived: true when the event may go on to the machine. */
  admitOpen(open: OpenMessage): boolean;
  /** Body of an UPDATE of the established session. Throws WireError for one that costs the session. */
  update(body: Uint8Array): void;
  refresh(message: RouteRefreshMessage): void;
  /** Every message in either direction, as it is on the wire. */
  traffic(direction: 'received' | 'sent', message: Uint8Array): void;
  drained(): void;
}

/** RFC 9687: longer than the hold time, and long enough for a peer that is merely busy. */
const MIN_SEND_HOLD_SECONDS = 480;

export class Conversation {
  #session: Session = idleSession;
  #connection: Connection | undefined;
  readonly #timers = new Map<Timer, { cancel: () => void; deadline: number }>();
  readonly #config: SessionConfig;
  readonly #remote: Remote;
  readonly #isRestarting: () => boolean;
  readonly #clock: Clock;
  readonly #events: ConversationEvents;
  /** What the kernel had taken when it last took anything, and when that was. */
  #progress = { delivered: 0, at: 0 };
  /** The OPENs of the session at hand, as they were on the wire: for BMP. */
  opens: { sent?: Uint8Array; received?: Uint8Array } = {};

  constructor(
    options: { config: SessionConfig; remote: Remote; isRestarting: () => boolean },
    modules: { clock: Clock; events: ConversationEvents },
  ) {
    this.#config = options.config;
    this.#remote = options.remote;
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
  get context(): UpdateContext {
    const { negotiated } = this.#session;
    if (!negotiated) return { isFourOctetAs: true, isIbgp: this.#config.localAs === this.#config.peerAs };
    return { ...negotiated, addPath: negotiated.addPathReceive };
  }

  /** Takes a connection that came in. */
  accept(socket: Socket): void {
    this.#connection?.close();
    this.#connection = Connection.accept(socket, this.#remote, this.#connectionEvents());
    this.handle({ type: 'connected' });
  }

  send(message: OutgoingMessage): void {
    const bytes = encodeMessage(message, this.context);
    if (message.type === 'open') this.opens = { sent: bytes };
    this.#events.traffic('sent', bytes);
    this.#connection?.send(bytes);
  }

  /** Feeds an event to the machine and performs what it says. */
  handle(event: Event): void {
    const from = this.#session;
    const { next, actions, reason } = step(from, event, this.#config);
    this.#session = next;
    for (const action of actions) this.#perform(action);
    if (next.state !== from.state) this.#events.transition(from, next, reason);
  }

  /** Drops the connection and every timer without a word: the process ends, the peer shall think of a restart. */
  abandon(): void {
    this.#connection?.close();
    this.#connection = undefined;
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
        break;
      case 'sendOpen':
        this.#sendOpen();
        break;
      case 'sendKeepalive':
        this.send({ type: 'keepalive' });
        this.#checkProgress();
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
      this.#connection = Connection.dial(this.#remote, this.#connectionEvents());
    } catch (error) {
      const reason = messageOf(error);
      this.#clock.after(0, () => this.handle({ type: 'disconnected', reason }));
    }
  }

  #sendOpen(): void {
    const { localAs, holdTimeSeconds, identifier } = this.#config;
    this.send({
      type: 'open',
      asNumber: localAs,
      holdTimeSeconds,
      identifier,
      capabilities: offeredCapabilities(this.#config, this.#isRestarting()),
    });
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
      this.handle({ type: 'timer', timer });
    });
    this.#timers.set(timer, entry);
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

  #connectionEvents(): ConnectionEvents {
    return {
      connected: () => this.handle({ type: 'connected' }),
      frame: (frame) => this.#receive(frame),
      error: (body, reason) => this.handle({ type: 'error', notification: body, reason }),
      disconnected: (reason) => {
        this.#connection = undefined;
        this.handle({ type: 'disconnected', reason });
      },
      drained: () => this.#events.drained(),
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
    if (!this.#events.admitOpen(message)) return;
    this.handle({ type: 'open', message });
    if (this.#session.negotiated?.hasExtendedMessages) this.#connection?.allowExtended();
  }
}
