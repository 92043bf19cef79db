/** Address of the API server and authentication to it. */
import http from 'node:http';
import type { Multiplexer } from './multiplexer.ts';

/** How requests reach the server. */
export interface Connection {
  /** For HTTP/1.1. */
  readonly agent: http.Agent;
  /** For HTTP/2; undefined over plain HTTP and through a proxy. */
  readonly multiplexer?: Multiplexer | undefined;
  /** Headers for authentication. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Base URL of the API, and the connection for each request. */
export interface ApiServerAddress {
  readonly url: URL;
  /** Rereads credentials that are older than ten seconds, or that the server refused (`isRefused`). */
  connection(isRefused: boolean): Promise<Connection>;
}

/** How long to use credentials before rereading them, because tokens rotate. */
export const CREDENTIALS_MS = 10_000;

/** Returns the address of a server without authentication, such as the lab's. */
export function plainAddress(server: string): ApiServerAddress {
  const agent = new http.Agent({ keepAlive: true });
  return { url: new URL(server), connection: async () => ({ agent, headers: {} }) };
}
