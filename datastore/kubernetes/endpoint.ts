/** Where the API is and how to authenticate to it. */
import http from 'node:http';
import type { Multiplexer } from './multiplexer.ts';

/** How requests reach the server. */
export interface Connection {
  /** For HTTP/1.1. */
  readonly agent: http.Agent;
  /** For HTTP/2; undefined over plain HTTP and through a proxy. */
  readonly multiplexer?: Multiplexer | undefined;
  /** Those that authenticate. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Base URL and, per request, the connection. */
export interface Endpoint {
  readonly url: URL;
  /** Credentials are read again when older than ten seconds, or when `isRefused` says that they failed. */
  connection(isRefused: boolean): Promise<Connection>;
}

/** Tokens rotate: what was read is good for this long. */
export const CREDENTIALS_MS = 10_000;

/** Endpoint of a server without authentication, such as the lab's. */
export function plainEndpoint(server: string): Endpoint {
  const agent = new http.Agent({ keepAlive: true });
  return { url: new URL(server), connection: async () => ({ agent, headers: {} }) };
}
