/** One finite state machine at work: its session value, its connection, its timers. */
import type { Socket } from 'node:net';
import type { Clock } from '../lib/clock.ts';
import { Connection, type ConnectionEvents, type Remote } from './connection.ts';
import { step } from './session/fsm.ts';
import {
  type Action,
  type Event,
  idleSession,
  type Session,
  type SessionConfig,
  type Timer,
} from './session/session.ts';
import type { Message, OutgoingMessage } from './wire/message.ts';
import type { OpenMessage } from './wire/open.ts';

export interface ConversationEvents {
  /** Every transition, once. */
  transition(from: Session, to: Session, reason: string | undefined): void;
  /** What the machine asks for beyond connections and timers. */
  act(action: Action): void;
  /** An OPEN arrived: true when the event may go on to the machine. */
  admitOpen(open: OpenMessage): boolean;
  message(type: Message['type']): void;
  drained(): void;
}

export class Conversation {
  #session: Session = idleSession;
  #connection: Connection | undefined;
  readonly #timers = new Map<Timer, () => void>();
  readonly #config: SessionConfig;
  readonly #remote: Remote;
  readonly #openMessage: () => OpenMessage;
  readonly #clock: Clock;
  readonly #events: ConversationEvents;

  constructor(
    options: { config: SessionConfig; remote: Remote; openMessage: () => OpenMessage },
    modules: { clock: Clock; events: ConversationEvents },
  ) {
    this.#config = options.config;
    this.#remote = options.remote;
    this.#openMessage = options.openMessage;
    this.#clock = modules.clock;
    this.#events = modules.events;
  }

  get session(): Session {
    return this.#session;
  }

  get connection(): Connection | undefined {
    return this.#connection;
  }

  /** Takes a connection that came in. */
  accept(socket: Socket): void {
    this.#connection?.close();
    this.#connection = Connection.accept(socket, this.#connectionEvents());
    this.handle({ type: 'connected' });
  }

  send(message: OutgoingMessage): void {
    this.#connection?.send(message);
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
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
  }

  #perform(action: Action): void {
    switch (action.type) {
      case 'connect':
        this.#connection = Connection.dial(this.#remote, this.#connectionEvents());
        break;
      case 'disconnect':
        this.#connection?.close();
        this.#connection = undefined;
        break;
      case 'sendOpen':
        this.send(this.#openMessage());
        break;
      case 'sendKeepalive':
        this.send({ type: 'keepalive' });
        break;
      case 'sendNotification':
        this.send({ type: 'notification', ...action.notification });
        break;
      case 'startTimer':
        this.#startTimer(action.timer, action.seconds);
        break;
      case 'stopTimer':
        this.#timers.get(action.timer)?.();
        this.#timers.delete(action.timer);
        break;
      default:
        this.#events.act(action);
    }
  }

  #startTimer(timer: Timer, seconds: number): void {
    this.#timers.get(timer)?.();
    // RFC 4271 section 10: jitter on everything but the hold timer.
    const factor = timer === 'hold' ? 1 : 0.75 + Math.random() / 4;
    const cancel = this.#clock.after(seconds * 1000 * factor, () => {
      this.#timers.delete(timer);
      this.handle({ type: 'timer', timer });
    });
    this.#timers.set(timer, cancel);
  }

  #connectionEvents(): ConnectionEvents {
    return {
      connected: () => this.handle({ type: 'connected' }),
      message: (message) => this.#receive(message),
      error: (notification, reason) => this.handle({ type: 'error', notification, reason }),
      disconnected: (reason) => {
        this.#connection = undefined;
        this.handle({ type: 'disconnected', reason });
      },
      drained: () => this.#events.drained(),
    };
  }

  #receive(message: Message): void {
    this.#events.message(message.type);
    switch (message.type) {
      case 'open':
        if (!this.#events.admitOpen(message)) return;
        this.handle({ type: 'open', message });
        if (this.#session.negotiated) this.#connection?.negotiated(this.#session.negotiated);
        break;
      case 'update':
        this.handle({ type: 'update', message });
        break;
      case 'notification':
        this.handle({ type: 'notification', message });
        break;
      case 'keepalive':
        this.handle({ type: 'keepalive' });
        break;
      case 'route-refresh':
        this.handle({ type: 'refresh', family: message.family });
        break;
      default:
        throw new Error(`unreachable message ${JSON.stringify(message satisfies never)}`);
    }
  }
}
