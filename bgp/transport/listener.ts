/** Where connections come in: the listening sockets, and their keys of RFC 2385. */
import { existsSync } from 'node:fs';
import net, { type Server, type Socket } from 'node:net';
import { CodedError, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { encodeMessage } from '../wire/message.ts';
import type { NotificationBody } from '../wire/wire-error.ts';
import { applyToListener, setListenKey } from './socket-options.ts';

export interface ListenerOptions {
  readonly port: number;
  /** Listen on these alone; undefined: on every address. */
  readonly addresses: readonly string[] | undefined;
}

export interface ListenerModules {
  readonly log: Log;
  /** A connection from an address, written as peers are configured: no mapped form. */
  readonly incoming: (address: string, socket: Socket) => void;
}

export class Listener {
  readonly #options: ListenerOptions;
  readonly #modules: ListenerModules;
  readonly #servers: Server[] = [];

  constructor(options: ListenerOptions, modules: ListenerModules) {
    this.#options = options;
    this.#modules = modules;
  }

  /** Throws CodedError BGP_LISTEN with the sentence for the operator. */
  async listen(): Promise<void> {
    const { port, addresses } = this.#options;
    for (const host of addresses ?? [anyAddress()]) {
      const server = net.createServer((socket) =>
        this.#modules.incoming((socket.remoteAddress ?? '').replace(/^::ffff:/, ''), socket),
      );
      this.#servers.push(server);
      await new Promise<void>((resolve, reject) => {
        server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)));
        server.listen({ host, port, backlog: 1024 }, resolve);
      });
      applyToListener(server);
    }
  }

  /** Demands a key of a peer's connections, or with undefined none. */
  setKey(peer: string, password: string | undefined): void {
    for (const server of this.#servers) {
      try {
        setListenKey(server, peer, password);
      } catch (error) {
        this.#modules.log.error({ peer, reason: messageOf(error) }, 'TCP MD5');
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

/** Ends a connection that is not taken, with the reason. */
export function refuse(socket: Socket, body: NotificationBody): void {
  socket.on('error', () => undefined);
  socket.end(encodeMessage({ type: 'notification', ...body }, { isFourOctetAs: true, isIbgp: false }));
  setTimeout(() => socket.destroy(), 1000).unref();
}

/** Both families on one socket; IPv4 alone where the kernel has nothing else. */
function anyAddress(): string {
  return existsSync('/proc/net/if_inet6') ? '::' : '0.0.0.0';
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): CodedError<'BGP_LISTEN'> {
  const remedy =
    error.code === 'EADDRINUSE'
      ? `TCP port ${port} is taken by another program, probably another BGP daemon (ss -ltnp 'sport = :${port}' names it): stop it, or set listenPort in BGPConfiguration`
      : error.code === 'EACCES'
        ? `TCP port ${port} needs CAP_NET_BIND_SERVICE: add the capability, or set listenPort above 1023 in BGPConfiguration`
        : messageOf(error);
  return new CodedError('BGP_LISTEN', `BGP cannot listen on ${host} port ${port}: ${remedy}.`, {
    cause: error,
  });
}
