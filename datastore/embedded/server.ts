/**
 * The embedded API server: the Kubernetes REST protocol for the registered kinds. With it the lab runs the same client
 * code as a cluster, and kubectl works against it.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { printable } from '../../lib/plain-text.ts';
import { type AnyResource, apiVersionOf } from '../schema/resource.ts';
import { discoveryDocument } from './discovery.ts';
import { openApiDocument, openApiV2 } from './openapi.ts';
import { type Preconditions, prefixOf, Resources, type Target, type WriteOptions } from './resources.ts';
import { parseRoute, type Route } from './route.ts';
import { parseSelectors } from './selectors.ts';
import { ApiError, badRequest, expired, statusOf } from './status.ts';
import { Store, type StoreOptions } from './store.ts';
import { tableOf, tableVersion } from './table.ts';
import { serveWatch } from './watch.ts';

export interface ApiServerOptions extends StoreOptions {
  readonly host: string;
  /** 0 picks a free port. */
  readonly port: number;
  readonly bookmarkMs?: number;
}

const MAX_BODY_BYTES = 8 << 20;
const MAX_CONTINUATIONS = 64;

/** The remaining objects of a paged list. */
interface Continuation {
  readonly objects: readonly AnyResource[];
  readonly revision: number;
}

export class ApiServer {
  readonly #options: ApiServerOptions;
  readonly #log: Log;
  readonly #store: Store;
  readonly #resources: Resources;
  readonly #server: Server;
  /** Oldest first; bounded by MAX_CONTINUATIONS. A token that was dropped gets 410. */
  readonly #continuations = new Map<string, Continuation>();
  #tokens = 0;

  private constructor(options: ApiServerOptions, log: Log, store: Store) {
    this.#options = options;
    this.#log = log;
    this.#store = store;
    this.#resources = new Resources(store, Date.now);
    this.#server = createServer((request, response) => void this.#serve(request, response));
    this.#server.keepAliveTimeout = 120_000;
  }

  /** Opens the store, creates the namespaces that every cluster has, and listens. */
  static async start(options: ApiServerOptions, log: Log): Promise<ApiServer> {
    const store = await Store.open(options, log);
    const server = new ApiServer(options, log, store);
    for (const name of ['default', 'kube-system']) await server.#ensureNamespace(name);
    await new Promise<void>((resolve, reject) => {
      server.#server.once('error', reject);
      server.#server.listen(options.port, options.host, resolve);
    });
    return server;
  }

  /** URL of the server, such as `http://127.0.0.1:6443`. */
  get url(): string {
    const address = this.#server.address();
    const port = typeof address === 'object' && address ? address.port : this.#options.port;
    const { host } = this.#options;
    return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
  }

  /** Drops the history, so that watches that resume from old revisions get 410. */
  compactHistory(): void {
    this.#store.compactHistory();
  }

  /** Closes all connections, including watches, then the store. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
    await this.#store.close();
  }

  async #ensureNamespace(name: string): Promise<void> {
    const definition = parseRoute('/api/v1/namespaces')!.definition;
    if (this.#store.get(`${prefixOf(definition, '')}${name}`)) return;
    const body: AnyResource = {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name, labels: { 'kubernetes.io/metadata.name': name } },
    };
    await this.#resources.create({ definition, namespace: '', name, isStatus: false }, body, {
      fieldValidation: null,
      dryRun: false,
      warn() {},
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#dispatch(request, response);
    } catch (error) {
      const failure =
        error instanceof ApiError
          ? error
          : error instanceof SyntaxError
            ? badRequest(messageOf(error))
            : new ApiError(500, 'InternalError', `Internal error occurred: ${messageOf(error)}`);
      if (failure.code === 500) this.#log.error({ err: error, url: request.url }, 'request failed');
      if (response.headersSent) response.destroy();
      else sendJson(response, failure.code, statusOf(failure));
    }
  }

  async #dispatch(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const path = url.pathname.replace(/\/$/, '');
    if (request.method === 'GET') {
      if (['/healthz', '/readyz', '/livez'].includes(path)) {
        response.end('ok');
        return;
      }
      if (path === '/openapi/v2') {
        if (!request.headers.accept?.includes('protobuf')) return sendJson(response, 200, openApiV2.json);
        response.writeHead(200, { 'content-type': openApiV2.contentType }).end(openApiV2.protobuf);
        return;
      }
      const document = path.startsWith('/openapi/v3') ? openApiDocument(path) : discoveryDocument(path);
      if (document) return sendJson(response, 200, document);
    }
    const route = parseRoute(path);
    if (!route) throw new ApiError(404, 'NotFound', 'the server could not find the requested resource');
    if (route.name === undefined) return this.#collection(route, request, response, url.searchParams);
    return this.#object({ ...route, name: route.name }, request, response, url.searchParams);
  }

  async #collection(
    route: Route,
    request: IncomingMessage,
    response: ServerResponse,
    query: URLSearchParams,
  ) {
    switch (request.method) {
      case 'GET':
        return isTrue(query.get('watch'))
          ? this.#watch(route, request, response, query)
          : this.#list(route, request, response, query);
      case 'POST': {
        const body = (await readJson(request)) as AnyResource;
        const options = writeOptions(query, response);
        const target = { ...route, name: body?.metadata?.name ?? '' };
        const object = await this.#resources.create(target, body, options);
        return this.#send(route, request, response, 201, object, query);
      }
      case 'DELETE': {
        const matches = parseSelectors(query.get('labelSelector'), query.get('fieldSelector'));
        const objects = this.#store.list(prefixOf(route.definition, route.namespace)).filter(matches);
        for (const { metadata } of objects) {
          await this.#resources.delete(
            { ...route, namespace: metadata.namespace ?? '', name: metadata.name },
            {},
            false,
          );
        }
        return sendJson(response, 200, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' });
      }
      default:
        throw methodNotAllowed(request);
    }
  }

  async #object(target: Target, request: IncomingMessage, response: ServerResponse, query: URLSearchParams) {
    const reply = (object: AnyResource) => this.#send(target, request, response, 200, object, query);
    switch (request.method) {
      case 'GET':
        await this.#store.settled();
        return reply(this.#resources.get(target));
      case 'PUT': {
        const body = (await readJson(request)) as AnyResource;
        return reply(await this.#resources.update(target, body, writeOptions(query, response)));
      }
      case 'PATCH': {
        const type = (request.headers['content-type'] ?? '').split(';')[0]!;
        const body = await readJson(request);
        return reply(await this.#resources.patch(target, type, body, writeOptions(query, response)));
      }
      case 'DELETE': {
        const body = (await readJson(request)) as
          | { preconditions?: Preconditions; dryRun?: string[] }
          | undefined;
        const isDryRun = query.getAll('dryRun').length > 0 || (body?.dryRun?.length ?? 0) > 0;
        const deleted = await this.#resources.delete(target, body?.preconditions ?? {}, isDryRun);
        return sendJson(response, 200, deleted);
      }
      default:
        throw methodNotAllowed(request);
    }
  }

  async #list(route: Route, request: IncomingMessage, response: ServerResponse, query: URLSearchParams) {
    await this.#store.settled();
    const { definition } = route;
    const limit = Number(query.get('limit') ?? 0);
    const token = query.get('continue');
    const source = token ? this.#continuations.get(token) : undefined;
    if (token && !source) throw expired('The provided continue parameter is too old: list again without it');
    const revision = source?.revision ?? this.#store.revision;
    const objects =
      source?.objects ??
      this.#store
        .list(prefixOf(definition, route.namespace))
        .filter(parseSelectors(query.get('labelSelector'), query.get('fieldSelector')));
    const page = limit > 0 ? objects.slice(0, limit) : objects;
    const metadata: Record<string, unknown> = { resourceVersion: String(revision) };
    if (page.length < objects.length) {
      metadata['continue'] = this.#remember({ objects: objects.slice(limit), revision });
      metadata['remainingItemCount'] = objects.length - page.length;
    }
    const version = tableVersion(request.headers.accept);
    if (version) {
      const options = {
        version,
        includeObject: query.get('includeObject'),
        listMetadata: metadata,
        now: Date.now(),
      };
      return sendJson(response, 200, tableOf(definition, page, options));
    }
    sendJson(response, 200, {
      kind: `${definition.kind}List`,
      apiVersion: apiVersionOf(definition),
      metadata,
      items: page,
    });
  }

  async #watch(route: Route, request: IncomingMessage, response: ServerResponse, query: URLSearchParams) {
    await this.#store.settled();
    const version = tableVersion(request.headers.accept);
    const resourceVersion = query.get('resourceVersion');
    const seconds = Number(query.get('timeoutSeconds') ?? 0) || 1800;
    serveWatch(
      this.#store,
      {
        definition: route.definition,
        prefix: prefixOf(route.definition, route.namespace),
        matches: parseSelectors(query.get('labelSelector'), query.get('fieldSelector')),
        resourceVersion: resourceVersion && resourceVersion !== '0' ? Number(resourceVersion) : undefined,
        allowBookmarks: isTrue(query.get('allowWatchBookmarks')),
        timeoutMs: seconds * 1000,
        bookmarkMs: this.#options.bookmarkMs ?? 30_000,
        present: (object) =>
          version
            ? tableOf(route.definition, [object], {
                version,
                includeObject: query.get('includeObject'),
                listMetadata: { resourceVersion: object.metadata.resourceVersion },
                now: Date.now(),
              })
            : object,
      },
      response,
    );
  }

  #send(
    { definition }: Pick<Route, 'definition'>,
    request: IncomingMessage,
    response: ServerResponse,
    code: number,
    object: AnyResource,
    query: URLSearchParams,
  ): void {
    const version = tableVersion(request.headers.accept);
    const listMetadata = { resourceVersion: object.metadata.resourceVersion };
    const options = { includeObject: query.get('includeObject'), listMetadata, now: Date.now() };
    sendJson(response, code, version ? tableOf(definition, [object], { ...options, version }) : object);
  }

  #remember(continuation: Continuation): string {
    const token = Buffer.from(`${continuation.revision}:${++this.#tokens}`).toString('base64url');
    this.#continuations.set(token, continuation);
    if (this.#continuations.size > MAX_CONTINUATIONS) {
      this.#continuations.delete(this.#continuations.keys().next().value!);
    }
    return token;
  }
}

function writeOptions(query: URLSearchParams, response: ServerResponse): WriteOptions {
  return {
    fieldValidation: query.get('fieldValidation'),
    dryRun: query.getAll('dryRun').length > 0,
    // RFC 7234 section 5.5; kubectl prints these as "Warning: …".
    warn: (message) => response.appendHeader('warning', `299 - "${headerText(message)}"`),
  };
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES)
      throw new ApiError(413, 'RequestEntityTooLarge', `the body is larger than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  if (size === 0) return undefined;
  try {
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    assertShallow(body);
    return body;
  } catch (error) {
    throw badRequest(`the body is not JSON: ${messageOf(error)}`);
  }
}

/** API objects are some ten levels deep. The code that merges and validates them is recursive. */
const MAX_DEPTH = 100;

function assertShallow(body: unknown): void {
  let level: unknown[] = [body];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_DEPTH) throw new SyntaxError(`it is nested deeper than ${MAX_DEPTH} levels`);
    level = level.flatMap((value) =>
      typeof value === 'object' && value !== null ? Object.values(value) : [],
    );
  }
}

/** Returns text for a quoted string in a header: visible ASCII. */
function headerText(text: string): string {
  return printable(text, 500)
    .replace(/[^\x20-\x7e]/g, '?')
    .replace(/["\\]/g, '\\$&');
}

function sendJson(response: ServerResponse, code: number, body: object): void {
  const text = JSON.stringify(body);
  response.writeHead(code, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

function isTrue(value: string | null): boolean {
  return value === 'true' || value === '1';
}

function methodNotAllowed(request: IncomingMessage): ApiError {
  return new ApiError(
    405,
    'MethodNotAllowed',
    `the server does not allow ${request.method} on the requested resource`,
  );
}
