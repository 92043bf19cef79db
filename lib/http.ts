/** The HTTP server for health checks, metrics and the local socket of calictl. */
import { createServer, type Server } from 'node:http';
import { messageOf } from './errors.ts';
import { surviveAccept } from './listening.ts';
import { listenUnix } from './unix-socket.ts';

export interface HttpAnswer {
  readonly code: number;
  readonly type: string;
  readonly body: string;
}

export type Routes = Readonly<Record<string, (query: URLSearchParams) => HttpAnswer | Promise<HttpAnswer>>>;

export function text(code: number, body: string): HttpAnswer {
  return { code, type: 'text/plain; charset=utf-8', body: `${body}\n` };
}

export function json(body: unknown): HttpAnswer {
  return { code: 200, type: 'application/json', body: JSON.stringify(body) };
}

/** Limits per server, which has a few local clients and ignores request bodies. */
const LIMITS = {
  /** Maximum size of the request line and the headers together, bytes. */
  maxHeaderSize: 8192,
  headersTimeout: 5000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5000,
  /** How often the server looks for slow clients, milliseconds. */
  connectionsCheckingInterval: 1000,
};
const MAX_CONNECTIONS = 64;
const MAX_HEADERS = 64;
const MAX_URL = 2048;

/** Where a server listens: a TCP address, or the path of a unix socket. */
export type ServingAt = { readonly host: string; readonly port: number } | { readonly path: string };

/** Starts a server. */
export type ServeRoutes = (at: ServingAt, routes: Routes) => Promise<Serving>;

/** A running server. `close` also closes its idle connections. */
export interface Serving {
  close(): void;
}

/**
 * Serves GET requests for fixed paths, on a TCP address or on a Unix socket that only its owner can open. Throws the
 * error of `listen`, or CodedError SOCKET_TAKEN (lib/unix-socket.ts).
 */
export const serveRoutes: ServeRoutes = async (at, routes) => {
  const server = createServer(LIMITS, (request, response) => {
    // The server reads no bodies. After a request that has one, the connection cannot be used again.
    response.shouldKeepAlive = response.shouldKeepAlive && request.headers['content-length'] === undefined;
    void answerTo(request.method, request.url ?? '', routes).then(({ code, type, body }) => {
      response.writeHead(code, { 'content-type': type }).end(body);
    });
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.maxHeadersCount = MAX_HEADERS;
  if ('path' in at) {
    const socket = await listenUnix(server, at.path);
    return { close: () => end(server, () => socket.close()) };
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(at, resolve);
  });
  surviveAccept(server);
  return { close: () => end(server, () => server.close()) };
};

function end(server: Server, close: () => void): void {
  close();
  server.closeIdleConnections();
}

/** Returns the answer of the route; 500 if the route throws. Never rejects. */
async function answerTo(method: string | undefined, url: string, routes: Routes): Promise<HttpAnswer> {
  if (url.length > MAX_URL) return text(414, `the URL is longer than ${MAX_URL} characters`);
  const [pathName = '', query] = url.split('?');
  const route = Object.hasOwn(routes, pathName) ? routes[pathName] : undefined;
  if (!route || method !== 'GET') return text(404, `try one of ${Object.keys(routes).join(' ')}`);
  try {
    return await route(new URLSearchParams(query));
  } catch (error) {
    return text(500, messageOf(error));
  }
}
