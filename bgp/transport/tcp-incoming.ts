/** A TCP connection that arrived, before a peer accepts it. */
import type { Socket } from 'node:net';
import { encodeMessage } from '../wire/message.ts';
import type { NotificationBody } from '../wire/wire-error.ts';
import type { Connection, ConnectionEvents, Incoming, Remote } from './port.ts';
import { handshakeTtl } from './socket-options.ts';
import { TcpConnection } from './tcp-connection.ts';

/** Time for the other side to read a NOTIFICATION and close. */
const LINGER_MS = 1000;

export class TcpIncoming implements Incoming {
  readonly address: string;
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.address = (socket.remoteAddress ?? '').replace(/^::ffff:/, '');
  }

  handshakeTtl(): number | undefined {
    return handshakeTtl(this.#socket, this.address);
  }

  accept(remote: Remote, events: ConnectionEvents): Connection {
    return TcpConnection.accept(this.#socket, remote, events);
  }

  refuse(body: NotificationBody): void {
    this.#socket.on('error', () => undefined);
    this.#socket.end(
      encodeMessage({ type: 'notification', ...body }, { isFourOctetAs: true, isIbgp: false }),
    );
    setTimeout(() => this.#socket.destroy(), LINGER_MS).unref();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
