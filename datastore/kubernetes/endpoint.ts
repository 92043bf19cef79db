/** Where the API is and how to authenticate to it. */
import http from 'node:http';

/** Base URL and, per request, an agent with keep-alive and the headers that authenticate. */
export interface Endpoint {
  readonly url: URL;
  /** Credentials are read anew when older than ten seconds, or when `isRefused` says that they failed. */
  connection(isRefused: boolean): Promise<{ agent: http.Agent; headers: Record<string, string> }>;
}

/** Tokens rotate: what was read is good for this long. */
export const CREDENTIALS_MS = 10_000;

/** Endpoint of a server without authentication, such as the lab's. */
export function plainEndpoint(server: string): Endpoint {
  const agent = new http.Agent({ keepAlive: true });
  return { url: new URL(server), connection: async () => ({ agent, headers: {} }) };
}
