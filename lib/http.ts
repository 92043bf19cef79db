/** Health and metrics over HTTP, and the local socket that calictl asks. */
import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';

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

/** Serves GETs of fixed paths on a TCP address or a unix socket. */
export async function serveRoutes(
  at: { readonly host: string; readonly port: number } | { readonly path: string },
  routes: Routes,
): Promise<Server> {
  const server = createServer((request, response) => {
    const [pathName, query] = (request.url ?? '').split('?');
    const route = routes[pathName!];
    const answer =
      route && request.method === 'GET'
        ? route(new URLSearchParams(query))
        : text(404, `try one of ${Object.keys(routes).join(' ')}`);
    void Promise.resolve(answer).then(({ code, type, body }) => {
      response.writeHead(code, { 'content-type': type }).end(body);
    });
  });
  if ('path' in at) await rm(at.path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(at, resolve);
  });
  if ('path' in at) await chmod(at.path, 0o600);
  return server;
}

/** A server that moves when its address changes. One that cannot listen is tried again with the next change. */
export class MovingServer {
  readonly #routes: Routes;
  #at: { readonly host: string; readonly port: number } | undefined;
  #server: Promise<Server | undefined> = Promise.resolve(undefined);

  constructor(routes: Routes) {
    this.#routes = routes;
  }

  /** Serves there from now on; undefined ends it. `failed` hears why it cannot. */
  moveTo(
    at: { readonly host: string; readonly port: number } | undefined,
    failed: (error: unknown) => void,
  ): void {
    if (at?.host === this.#at?.host && at?.port === this.#at?.port) return;
    this.#at = at;
    this.#server = this.#server.then(async (old) => {
      old?.close();
      if (!at) return undefined;
      return serveRoutes(at, this.#routes).catch((error: unknown) => {
        this.#at = undefined;
        failed(error);
        return undefined;
      });
    });
  }

  async close(): Promise<void> {
    (await this.#server)?.close();
  }
}
