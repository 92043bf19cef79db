/** The listening sockets with their TCP MD5 keys (RFC 2385). */
import { existsSync } from 'node:fs';
import net, { type Server } from 'node:net';
import { CodedError, messageOf } from '../../lib/errors.ts';
import { surviveAccept } from '../../lib/listening.ts';
import type { Incoming, Listener, ListenOptions } from './port.ts';
import { applyToListener, setListenKey } from './socket-options.ts';
import { TcpIncoming } from './tcp-incoming.ts';

export class TcpListener implements Listener {
  readonly #options: ListenOptions;
  readonly #incoming: (connection: Incoming) => void;
  readonly #servers: Server[] = [];
  /** Keys of peers whose connections must be signed. */
  readonly #keys = new Map<string, string>();
  /** Peers with a first key so new that unsigned connections may still be in the accept queue. */
  readonly #fresh = new Set<string>();

  constructor(options: ListenOptions, incoming: (connection: Incoming) => void) {
    this.#options = options;
    this.#incoming = incoming;
  }

  /** Throws CodedError BGP_LISTEN with a sentence for the operator. */
  async listen(): Promise<void> {
    const { port, addresses } = this.#options;
    for (const host of addresses ?? [anyAddress()]) {
      const server = net.createServer((socket) => this.#incoming(new TcpIncoming(socket)));
      this.#servers.push(server);
      await new Promise<void>((resolve, reject) => {
        server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)));
        server.listen({ host, port, backlog: 1024 }, resolve);
      });
      surviveAccept(server);
      applyToListener(server);
    }
  }

  /** Sets the key of a peer's connections; undefined removes it. Returns the reason when the kernel refuses it. */
  setKey(peer: string, password: string | undefined): string | undefined {
    if (password === undefined && !this.#keys.has(peer)) return undefined;
    const isFirst = !this.#keys.has(peer);
    try {
      for (const server of this.#servers) setListenKey(server, peer, password);
    } catch (error) {
      return messageOf(error);
    }
    if (password === undefined) this.#keys.delete(peer);
    else {
      this.#keys.set(peer, password);
      if (isFirst) this.#markFresh(peer);
    }
    return undefined;
  }

  /**
   * Whether an unsigned connection of the peer may predate its key. The kernel's queue of such connections is empty after
   * one turn of the event loop.
   */
  isFresh(peer: string): boolean {
    return this.#fresh.has(peer);
  }

  #markFresh(peer: string): void {
    this.#fresh.add(peer);
    setImmediate(() => setImmediate(() => this.#fresh.delete(peer)));
  }

  async close(): Promise<void> {
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

/** Listens for both families on one socket, or for IPv4 when the kernel has no IPv6. */
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
