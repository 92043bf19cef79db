/**
 * An API server without validation: it serves lists and watches of the objects that a test puts into it, can write any
 * octets to a watch, and accepts an agent's writes plausibly.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { mergePatch } from '../../datastore/embedded/patch.ts';
import { registry } from '../../datastore/registry.ts';
import type { ResourceDefinition } from '../../datastore/schema/resource.ts';

type Stored = { [field: string]: unknown };

interface Watcher {
  readonly plural: string;
  readonly response: ServerResponse;
  readonly matches: (object: unknown) => boolean;
}

/** An event that watches can resume after. */
interface Past {
  readonly version: number;
  readonly plural: string;
  readonly object: unknown;
  readonly line: string;
}

/** Minimum number of events kept for watches that resume. */
const MAX_PAST = 2_000;

export class HostileApi {
  readonly #server: Server;
  readonly #objects = new Map<string, Map<string, Stored>>();
  readonly #watchers = new Set<Watcher>();
  #past: Past[] = [];
  #version = 1_000_000;
  /** Called for each request before the server; returns true when it has answered the request itself. */
  intercept: (request: IncomingMessage, response: ServerResponse) => boolean = () => false;
  /** The last 1,000 requests, as `METHOD path`. */
  readonly requests: string[] = [];

  private constructor() {
    this.#server = createServer((request, response) => {
      this.requests.push(`${request.method} ${request.url}`);
      if (this.requests.length > 1_000) this.requests.shift();
      response.on('error', () => undefined);
      void this.#answer(request, response).catch(() => response.destroy());
    });
  }

  static async start(host = '127.0.0.1', port = 0): Promise<HostileApi> {
    const api = new HostileApi();
    await new Promise<void>((resolve) => api.#server.listen(port, host, resolve));
    return api;
  }

  get url(): string {
    const at = this.#server.address();
    if (at === null || typeof at === 'string') throw new Error('the hostile API is not listening');
    return `http://${at.address}:${at.port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Version of the last write; every write increments it. */
  get version(): number {
    return this.#version;
  }

  /** Stores an object as it is and notifies the watches. A resourceVersion in the object is kept. */
  put(definition: ResourceDefinition, object: Stored): void {
    const objects = this.#kind(definition.plural);
    const key = keyOf(object);
    const version = ++this.#version;
    const metadata = { resourceVersion: String(version), ...(object['metadata'] as object) };
    const stored = { ...object, metadata };
    const type = objects.has(key) ? 'MODIFIED' : 'ADDED';
    objects.set(key, stored);
    this.#notify(definition.plural, version, type, stored);
  }

  remove(definition: ResourceDefinition, key: string): void {
    const objects = this.#kind(definition.plural);
    const object = objects.get(key);
    if (!object) return;
    objects.delete(key);
    const version = ++this.#version;
    const metadata = { ...(object['metadata'] as object), resourceVersion: String(version) };
    this.#notify(definition.plural, version, 'DELETED', { ...object, metadata });
  }

  get(definition: ResourceDefinition, key: string): Stored | undefined {
    return this.#kind(definition.plural).get(key);
  }

  /** Returns all objects of a kind by key. */
  all(definition: ResourceDefinition): ReadonlyMap<string, Stored> {
    return this.#kind(definition.plural);
  }

  /** Writes octets to every watch of a kind, one piece at a time. */
  async send(definition: ResourceDefinition, ...pieces: readonly (string | Buffer)[]): Promise<void> {
    for (const piece of pieces) {
      for (const { plural, response } of this.#watchers)
        if (plural === definition.plural) response.write(piece);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Closes every watch of a kind, as real servers do from time to time. */
  cut(definition: ResourceDefinition): void {
    for (const { plural, response } of this.#watchers) if (plural === definition.plural) response.end();
  }

  watches(definition: ResourceDefinition): number {
    return [...this.#watchers].filter(({ plural }) => plural === definition.plural).length;
  }

  /** Resolves when each watch has at most 1 MB left to send. */
  async drained(): Promise<void> {
    for (const { response } of this.#watchers)
      while (response.writableLength > 1_000_000 && !response.destroyed)
        await new Promise((resolve) => setTimeout(resolve, 1));
  }

  #kind(plural: string): Map<string, Stored> {
    const objects = this.#objects.get(plural) ?? new Map<string, Stored>();
    this.#objects.set(plural, objects);
    return objects;
  }

  #notify(plural: string, version: number, type: string, object: Stored): void {
    const line = `${JSON.stringify({ type, object })}\n`;
    this.#past.push({ version, plural, object, line });
    if (this.#past.length > 2 * MAX_PAST) this.#past = this.#past.slice(-MAX_PAST);
    for (const watcher of this.#watchers)
      if (watcher.plural === plural && watcher.matches(object)) watcher.response.write(line);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.intercept(request, response)) return;
    const url = new URL(request.url ?? '/', 'http://api');
    const answer = (code: number, body: unknown) =>
      response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    const refuse = (code: number, reason: string) =>
      answer(code, { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message: reason });
    const parts = url.pathname.split('/').filter((part) => part !== '');
    if (parts[0] === 'apis' && parts.length === 2) return void answer(200, { versions: [{ version: 'v1' }] });
    const path = parts.slice(parts[0] === 'api' ? 2 : 3);
    const namespace = path[0] === 'namespaces' && path.length > 2 ? path[1] : undefined;
    const [plural = '', name] = namespace === undefined ? path : path.slice(2);
    const definition = registry.find((one) => one.plural === plural);
    if (!definition) return void refuse(404, 'NotFound');
    const objects = this.#kind(plural);
    const key = namespace === undefined ? name : `${namespace}/${name}`;
    const matches = matcher(url.searchParams, namespace);
    if (request.method === 'GET' && name === undefined) {
      if (url.searchParams.get('watch')) return this.#watch(plural, url, matches, response);
      const items = [...objects.values()].filter(matches);
      return void answer(200, { metadata: { resourceVersion: String(this.#version) }, items });
    }
    if (request.method === 'GET') {
      const found = objects.get(key!);
      return void (found ? answer(200, found) : refuse(404, 'NotFound'));
    }
    const body = JSON.parse(await read(request)) as Stored;
    if (request.method === 'POST') {
      const made = keyOf(body);
      if (objects.has(made)) return void refuse(409, 'AlreadyExists');
      this.put(definition, { ...body, metadata: { uid: `uid-${made}`, ...(body['metadata'] as object) } });
      return void answer(201, objects.get(made));
    }
    const before = objects.get(key!);
    if (!before) return void refuse(404, 'NotFound');
    if (request.method === 'DELETE') {
      this.remove(definition, key!);
      return void answer(200, { kind: 'Status', status: 'Success' });
    }
    const { resourceVersion: expected } = (body['metadata'] ?? {}) as { resourceVersion?: string };
    const { resourceVersion: present } = before['metadata'] as { resourceVersion?: string };
    if (expected !== undefined && expected !== present) return void refuse(409, 'Conflict');
    const after = (request.method === 'PATCH' ? mergePatch(before as never, body as never) : body) as Stored;
    const { resourceVersion: _, ...metadata } = after['metadata'] as Stored;
    this.put(definition, { ...after, metadata });
    return void answer(200, objects.get(key!));
  }

  #watch(plural: string, url: URL, matches: Watcher['matches'], response: ServerResponse): void {
    const from = Number(url.searchParams.get('resourceVersion'));
    response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
    const oldest = this.#past[0]?.version ?? this.#version;
    const isKnown = Number.isInteger(from) && from <= this.#version && from >= oldest - 1;
    if (!isKnown && from !== this.#version) {
      const status = { kind: 'Status', code: 410, reason: 'Expired', message: `too old: ${from}` };
      return void response.end(`${JSON.stringify({ type: 'ERROR', object: status })}\n`);
    }
    for (const past of this.#past)
      if (past.plural === plural && past.version > from && matches(past.object)) response.write(past.line);
    const watcher = { plural, response, matches };
    this.#watchers.add(watcher);
    response.on('close', () => this.#watchers.delete(watcher));
  }
}

function keyOf(object: Stored): string {
  const { namespace, name } = object['metadata'] as { namespace?: string; name: string };
  return namespace ? `${namespace}/${name}` : name;
}

function matcher(query: URLSearchParams, namespace: string | undefined): (object: unknown) => boolean {
  const [field, value] = (query.get('fieldSelector') ?? '').split('=');
  return (object) => {
    const { metadata, spec } = object as {
      metadata?: { name?: string; namespace?: string };
      spec?: { nodeName?: string };
    };
    if (namespace !== undefined && metadata?.namespace !== namespace) return false;
    if (field === 'metadata.name') return metadata?.name === value;
    return field === 'spec.nodeName' ? spec?.nodeName === value : true;
  };
}

async function read(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8') as AsyncIterable<string>) text += chunk;
  return text || '{}';
}
