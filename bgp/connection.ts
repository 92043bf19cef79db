/** A TCP connection that carries messages. Reads are framed and decoded; faults arrive as events. */
import net, { type Socket } from 'node:net';
import { messageOf } from '../lib/errors.ts';
import type { AttributeContext } from './wire/attributes.ts';
import { Framer } from './wire/framer.ts';
import { decodeMessage, encodeMessage, type Message, type OutgoingMessage } from './wire/message.ts';
import { type NotificationBody, WireError } from './wire/wire-error.ts';

export interface ConnectionEvents {
  connected(): void;
  message(message: Message): void;
  /** A message that cannot be accepted. */
  error(notification: NotificationBody, reason: string): void;
  disconnected(reason: string): void;
  /** The peer reads again after it had stopped. */
  drained(): void;
}

export interface Remote {
  readonly address: string;
  readonly port: number;
  readonly localAddress: string | undefined;
}

const CONNECT_TIMEOUT_MS = 5_000;

export class Connection {
  readonly isOutgoing: boolean;
  readonly #socket: Socket;
  readonly #framer = new Framer();
  readonly #events: ConnectionEvents;
  #context: AttributeContext = { isFourOctetAs: true, isIbgp: true };
  #isClosed = false;

  private constructor(socket: Socket, isOutgoing: boolean, events: ConnectionEvents) {
    this.#socket = socket;
    this.isOutgoing = isOutgoing;
    this.#events = events;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('drain', () => events.drained());
    socket.on('error', (error: NodeJS.ErrnoException) => this.#lost(describeSocketError(error)));
    socket.on('end', () => this.#lost('the peer closed the connection'));
    socket.on('close', () => this.#lost('the connection was closed'));
  }

  /** Dials; the outcome is an event. */
  static dial(remote: Remote, events: ConnectionEvents): Connection {
    const socket = net.connect({
      host: remote.address,
      port: remote.port,
      ...(remote.localAddress ? { localAddress: remote.localAddress } : {}),
    });
    const connection = new Connection(socket, true, events);
    const timer = setTimeout(() => connection.#lost('connect timed out'), CONNECT_TIMEOUT_MS);
    socket.once('connect', () => {
      clearTimeout(timer);
      if (!connection.#isClosed) events.connected();
    });
    socket.once('close', () => clearTimeout(timer));
    return connection;
  }

  /** Takes over a connection that came in. */
  static accept(socket: Socket, events: ConnectionEvents): Connection {
    return new Connection(socket, false, events);
  }

  /** Our address on this connection. */
  get localAddress(): string {
    return (this.#socket.localAddress ?? '').replace(/^::ffff:/, '');
  }

  /** Whether the peer reads slowly: hold back what can wait. */
  get isCongested(): boolean {
    return this.#socket.writableNeedDrain;
  }

  /** What the OPENs agreed on, for every message from here on. */
  negotiated(context: AttributeContext & { readonly hasExtendedMessages: boolean }): void {
    this.#context = context;
    if (context.hasExtendedMessages) this.#framer.allowExtended();
  }

  send(message: OutgoingMessage): void {
    if (!this.#isClosed) this.#socket.write(encodeMessage(message, this.#context));
  }

  /** Closes behind what was sent. No event follows. */
  close(): void {
    this.#isClosed = true;
    this.#socket.end();
    // A peer that never closes its side must not hold the socket.
    setTimeout(() => this.#socket.destroy(), 1000).unref();
  }

  #receive(chunk: Uint8Array): void {
    try {
      for (const frame of this.#framer.push(chunk)) {
        if (this.#isClosed) return;
        this.#events.message(decodeMessage(frame, this.#context));
      }
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      if (!this.#isClosed) this.#events.error(error.notification, messageOf(error));
    }
  }

  #lost(reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.destroy();
    this.#events.disconnected(reason);
  }
}

function describeSocketError(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ECONNREFUSED':
      return 'Connection refused';
    case 'EHOSTUNREACH':
      return 'No route to host';
    case 'ENETUNREACH':
      return 'Network is unreachable';
    case 'ETIMEDOUT':
      return 'Connection timed out';
    case 'ECONNRESET':
      return 'Connection reset by peer';
    case 'EADDRNOTAVAIL':
      return 'Source address is not on this node';
    default:
      return messageOf(error);
  }
}
