/** Health and metrics over HTTP, and the local socket that calictl uses. */
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

/** Limits of each server. It serves a few local clients and ignores request bodies. */
const LIMITS = {
  /** Octets of a request line with its headers. */
  maxHeaderSize: 8192,
  headersTimeout: 5000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5000,
  /** Interval of the check for slow clients, milliseconds. */
  connectionsCheckingInterval: 1000,
};
const MAX_CONNECTIONS = 64;
const MAX_HEADERS = 64;
const MAX_URL = 2048;

/** A listening server. `close` also ends its connections. */
export interface Serving {
  close(): void;
}

/**
 * Serves GET requests for fixed paths on a TCP address, or on a unix socket that only its owner can use. Throws what
 * `listen` throws, and CodedError SOCKET_TAKEN (lib/unix-socket.ts).
 */
export async function serveRoutes(
  at: { readonly host: string; readonly port: number } | { readonly path: string },
  routes: Routes,
): Promise<Serving> {
  const server = createServer(LIMITS, (request, response) => {
    // Bodies are ignored, so do not wait for one.
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
}

function end(server: Server, close: () => void): void {
  close();
  server.closeIdleConnections();
}

/** Answers with 500 when the route fails. Never rejects. */
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
