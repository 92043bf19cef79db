/**
 * A local copy of one kind, kept true by list and watch. client-node's informer is not used: it reopens
 * watches in a tight loop, stops for ever on an error, and never says that it is in sync.
 *
 * Promises: every change is reported exactly once, whatever happens to connections (a relist reports only
 * differences, deletions too); `synced` is called once, after the first complete list; while the server is
 * away the copy stays as it was; a half-open connection is noticed by its silence.
 */
import { Backoff } from '../lib/backoff.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { ListOptions, ObjectOf } from './datastore.ts';
import { DatastoreError } from './errors.ts';
import type { KubernetesClient } from './kubernetes/client.ts';
import type { AnyResource, ResourceDefinition } from './schema/resource.ts';

export interface ReflectorOptions<D extends ResourceDefinition> extends ListOptions {
  readonly definition: D;
  /** Silence after which a watch counts as dead, milliseconds. Servers send bookmarks about once a minute. */
  readonly idleMs?: number;
  readonly pageSize?: number;
}

export interface ReflectorEvents<D extends ResourceDefinition> {
  /** An object is new or different (`object`), or gone (undefined). */
  changed(key: string, object: ObjectOf<D> | undefined): void;
  synced(): void;
}

type WatchEvent = { readonly type: string; readonly object: AnyResource };

/** `namespace/name`, or `name` for cluster-scoped objects. */
export function keyOfObject({
  metadata: { namespace, name },
}: {
  metadata: { namespace?: string | undefined; name: string };
}): string {
  return namespace ? `${namespace}/${name}` : name;
}

export class Reflector<D extends ResourceDefinition> {
  readonly #options: ReflectorOptions<D>;
  readonly #client: KubernetesClient;
  readonly #events: ReflectorEvents<D>;
  readonly #log: Log;
  readonly #objects = new Map<string, ObjectOf<D>>();
  /** resourceVersion per key, also of objects that could not be read. */
  readonly #versions = new Map<string, string>();
  readonly #backoff = new Backoff({ firstMs: 200, maxMs: 10_000 });
  #isSynced = false;
  #error: string | undefined = 'not listed yet';

  constructor(
    options: ReflectorOptions<D>,
    modules: { client: KubernetesClient; events: ReflectorEvents<D>; log: Log },
  ) {
    this.#options = options;
    this.#client = modules.client;
    this.#events = modules.events;
    this.#log = modules.log.child({ watch: options.definition.plural });
  }

  /** The copy. Do not change it. */
  get objects(): ReadonlyMap<string, ObjectOf<D>> {
    return this.#objects;
  }

  /** Why the copy may be old; undefined while a watch is open. */
  get staleReason(): string | undefined {
    return this.#error && `${this.#options.definition.plural}: ${this.#error}`;
  }

  /** Lists and watches until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    let version: string | undefined;
    while (!signal.aborted) {
      const startedAt = Date.now();
      try {
        version ??= await this.#relist(signal);
        version = await this.#watch(version, signal);
        this.#error = undefined;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof DatastoreError && error.code === 'EXPIRED') version = undefined;
        this.#error = messageOf(error);
        this.#log.warn({ reason: this.#error }, 'watch interrupted');
      }
      // A watch that lasted was healthy, whatever ended it.
      if (Date.now() - startedAt > 5_000) this.#backoff.reset();
      await delay(this.#backoff.next(), signal);
    }
  }

  async #relist(signal: AbortSignal): Promise<string> {
    const { definition, pageSize = 500 } = this.#options;
    const seen = new Set<string>();
    let version = '';
    let token: string | undefined;
    do {
      const page = await this.#client.listPage(definition, this.#options, pageSize, token, signal);
      for (const item of page.items) {
        seen.add(keyOfObject(item));
        this.#put(item);
      }
      version = page.resourceVersion;
      token = page.next;
    } while (token);
    for (const key of [...this.#versions.keys()]) if (!seen.has(key)) this.#drop(key);
    if (!this.#isSynced) {
      this.#isSynced = true;
      this.#events.synced();
    }
    return version;
  }

  /** Follows one watch to its end; returns the version to resume from. */
  async #watch(from: string, signal: AbortSignal): Promise<string> {
    const { definition, idleMs = 120_000 } = this.#options;
    const idle = new AbortController();
    const timeoutSeconds = 300 + Math.floor(Math.random() * 300);
    let version = from;
    let timer: NodeJS.Timeout | undefined;
    const awake = () => {
      clearTimeout(timer);
      timer = setTimeout(() => idle.abort(new Error(`silent for ${idleMs} ms`)), idleMs);
    };
    awake();
    try {
      const stream = await this.#client.watchStream(
        definition,
        this.#options,
        from,
        timeoutSeconds,
        AbortSignal.any([signal, idle.signal]),
      );
      this.#error = undefined;
      let rest = '';
      stream.setEncoding('utf8');
      for await (const chunk of stream as AsyncIterable<string>) {
        awake();
        const lines = (rest + chunk).split('\n');
        rest = lines.pop()!;
        for (const line of lines) {
          if (line === '') continue;
          version = this.#apply(JSON.parse(line) as WatchEvent) ?? version;
          this.#backoff.reset();
        }
      }
      return version;
    } catch (error) {
      // What was applied was applied: resume behind it, unless the server said that this is not possible.
      if (signal.aborted || (error instanceof DatastoreError && version === from)) throw error;
      this.#log.debug({ reason: messageOf(error) }, 'watch ended');
      this.#error = messageOf(error);
      if (error instanceof DatastoreError && error.code === 'EXPIRED') throw error;
      return version;
    } finally {
      clearTimeout(timer);
    }
  }

  /** The resourceVersion that the event leads to. */
  #apply({ type, object }: WatchEvent): string | undefined {
    switch (type) {
      case 'ADDED':
      case 'MODIFIED':
        this.#put(object);
        break;
      case 'DELETED':
        this.#drop(keyOfObject(object));
        break;
      case 'ERROR':
        // 410 Gone, or 504 for a version that the server has lost: nothing to resume from, list again.
        throw new DatastoreError(
          'EXPIRED',
          String((object as { message?: unknown }).message ?? 'watch refused'),
        );
      default:
        break;
    }
    return object.metadata.resourceVersion;
  }

  #put(object: AnyResource): void {
    const key = keyOfObject(object);
    const version = object.metadata.resourceVersion ?? '';
    if (this.#versions.get(key) === version && version !== '') return;
    this.#versions.set(key, version);
    const parsed = this.#options.definition.schema.safeParse(object);
    if (parsed.success) {
      const value = parsed.data as ObjectOf<D>;
      this.#objects.set(key, value);
      this.#events.changed(key, value);
      return;
    }
    // An unreadable object counts as absent; it must not stop the others.
    const issue = parsed.error.issues[0]!;
    this.#log.error(
      { object: key, reason: `${issue.path.join('.')}: ${issue.message}` },
      'object ignored: it cannot be read',
    );
    if (this.#objects.delete(key)) this.#events.changed(key, undefined);
  }

  #drop(key: string): void {
    this.#versions.delete(key);
    if (this.#objects.delete(key)) this.#events.changed(key, undefined);
  }
}

function delay(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
