/**
 * A local copy of one kind, kept current by list and watch. It replaces client-node's informer, which reopens watches
 * in a tight loop, stops permanently on an error, and does not report that it is in sync.
 *
 * Guarantees:
 * - Every change is reported exactly once, also across reconnects: a relist reports differences and deletions only.
 * - `synced` is called once, after the first complete list.
 * - While the server is unreachable the copy stays unchanged. An idle timeout detects a half-open connection.
 * - Invalid data affects at most the watch. An unreadable object keeps its last valid version and appears in
 *   `problems`; a value that is not an object is skipped; a line that is not an event causes a relist.
 */
import { setMaxListeners } from 'node:events';
import { Backoff } from '../lib/backoff.ts';
import { messageOf } from '../lib/errors.ts';
import { LineSplitter } from '../lib/lines.ts';
import type { Log } from '../lib/log.ts';
import { delay, type Time } from '../lib/time.ts';
import type { ListOptions, ListWatch, ObjectOf } from './datastore.ts';
import { DatastoreError } from './errors.ts';
import { deadline } from './kubernetes/deadline.ts';
import type { ObjectProblem } from './object-problem.ts';
import { identityOf, readObject } from './read-object.ts';
import type { ResourceDefinition } from './schema/resource.ts';
import { describeNotice, noticesOf } from './schema/without-effect.ts';

export interface InformerOptions<D extends ResourceDefinition> extends ListOptions {
  readonly definition: D;
  /** Idle time after which a watch counts as dead, milliseconds. Servers send bookmarks about once a minute. */
  readonly idleMs?: number;
  readonly pageSize?: number;
}

export interface InformerEvents<D extends ResourceDefinition> {
  /** An object was added or changed (`object`), or deleted (undefined). */
  changed(key: string, object: ObjectOf<D> | undefined): void;
  synced(): void;
  /** `problems` changed. */
  troubled?(): void;
}

/** A problem, with the data for an Event about the object. */
export interface UnreadableObject {
  readonly problem: ObjectProblem;
  readonly uid: string | undefined;
  /** `status.conditions` as the server returned them. */
  readonly conditions: unknown;
  /** Whether no version of the object is in force. */
  readonly isAbsent: boolean;
}

/** The time of an informer. */
export type InformerTime = Pick<Time, 'now' | 'after' | 'random'>;

/** Longest line of a watch. An object has at most some megabytes. */
const MAX_LINE = 64 * 1024 * 1024;

export class Informer<D extends ResourceDefinition> {
  readonly #options: InformerOptions<D>;
  readonly #client: ListWatch;
  readonly #time: InformerTime;
  readonly #events: InformerEvents<D>;
  readonly #log: Log;
  readonly #objects = new Map<string, ObjectOf<D>>();
  /** resourceVersion by key, also of unreadable objects. */
  readonly #versions = new Map<string, string>();
  /** By key. Bounded by the number of objects. */
  readonly #problems = new Map<string, UnreadableObject>();
  /** Sentences about fields without effect, by key. */
  readonly #notices = new Map<string, readonly string[]>();
  readonly #backoff: Backoff;
  #isSynced = false;
  #isForbidden = false;
  #error: string | undefined = 'not listed yet';

  constructor(
    options: InformerOptions<D>,
    modules: { client: ListWatch; events: InformerEvents<D>; time: InformerTime; log: Log },
  ) {
    this.#options = options;
    this.#client = modules.client;
    this.#time = modules.time;
    this.#backoff = new Backoff({ firstMs: 200, maxMs: 10_000 }, () => modules.time.random());
    this.#events = modules.events;
    this.#log = modules.log.child({ watch: options.definition.plural });
  }

  /** The copy. Do not change it. */
  get objects(): ReadonlyMap<string, ObjectOf<D>> {
    return this.#objects;
  }

  /** Returns the objects of the copy. */
  list(): ObjectOf<D>[] {
    return [...this.#objects.values()];
  }

  /** Unreadable objects, and objects with replaced fields, by key. */
  get problems(): ReadonlyMap<string, UnreadableObject> {
    return this.#problems;
  }

  /** Plural of the followed kind. */
  get resource(): string {
    return this.#options.definition.plural;
  }

  /** Fields that have no effect: one sentence each, with the name of the object. */
  get notices(): readonly string[] {
    return [...this.#notices.values()].flat();
  }

  /** Why the copy may be old; undefined while a watch is open. */
  get staleReason(): string | undefined {
    return this.#error && `${this.#options.definition.plural}: ${this.#error}`;
  }

  /** Whether the API server forbids the list or the watch, because RBAC lacks a permission. */
  get isForbidden(): boolean {
    return this.#error !== undefined && this.#isForbidden;
  }

  /** Lists and watches until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    // Many informers share a signal. Each adds one listener, regardless of its retries.
    const own = new AbortController();
    const stop = () => own.abort(signal.reason);
    if (signal.aborted) stop();
    // Node reports more than ten listeners as a leak; here there is one per informer.
    setMaxListeners(0, signal);
    signal.addEventListener('abort', stop, { once: true });
    await this.#follow(own.signal);
    signal.removeEventListener('abort', stop);
  }

  async #follow(signal: AbortSignal): Promise<void> {
    let version: string | undefined;
    while (!signal.aborted) {
      const startedAt = this.#time.now();
      try {
        version ??= await this.#relist(signal);
        version = await this.#watch(version, signal);
        this.#error = undefined;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof DatastoreError && error.code === 'EXPIRED') version = undefined;
        this.#error = messageOf(error);
        this.#isForbidden = error instanceof DatastoreError && error.code === 'FORBIDDEN';
        this.#log.warn({ reason: this.#error }, 'watch interrupted');
      }
      // A watch that lasted was healthy, regardless of its end.
      if (this.#time.now() - startedAt > 5_000) this.#backoff.reset();
      await delay(this.#time, this.#backoff.next(), signal);
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
        const key = this.#put(item);
        if (key !== undefined) seen.add(key);
      }
      version = page.resourceVersion;
      token = page.next;
    } while (token);
    for (const key of [...this.#versions.keys()]) if (!seen.has(key)) this.#drop(key);
    if (!this.#isSynced) {
      this.#isSynced = true;
      this.#notify(() => this.#events.synced());
    }
    return version;
  }

  /** Follows one watch to its end. Returns the version to resume from. */
  async #watch(from: string, signal: AbortSignal): Promise<string> {
    const { definition, idleMs = 120_000 } = this.#options;
    const timeoutSeconds = 300 + Math.floor(this.#time.random() * 300);
    let version = from;
    const idle = deadline(this.#time, idleMs, `no event for ${idleMs} ms`, signal);
    try {
      const stream = await this.#client.watchStream(
        definition,
        this.#options,
        from,
        timeoutSeconds,
        idle.signal,
      );
      this.#error = undefined;
      const splitter = new LineSplitter(MAX_LINE);
      for await (const chunk of stream) {
        idle.restart();
        for (const line of linesOf(splitter, chunk)) {
          version = this.#apply(parseEvent(line)) ?? version;
          this.#backoff.reset();
        }
      }
      return version;
    } catch (error) {
      // Resume after the last applied event, unless the server reported that it cannot.
      if (signal.aborted || (error instanceof DatastoreError && version === from)) throw error;
      this.#log.debug({ reason: messageOf(error) }, 'watch ended');
      this.#error = messageOf(error);
      if (error instanceof DatastoreError && error.code === 'EXPIRED') throw error;
      return version;
    } finally {
      idle.end();
    }
  }

  /** Applies an event. Returns its resourceVersion; undefined when it has none. */
  #apply({ type, object }: WatchEvent): string | undefined {
    switch (type) {
      case 'ADDED':
      case 'MODIFIED':
        this.#put(object);
        break;
      case 'DELETED': {
        const identity = identityOf(object);
        if (identity && !isOfAnotherKind(object, this.#options.definition)) this.#drop(keyOf(identity));
        break;
      }
      case 'ERROR': {
        // 410 Gone, or 504 for a version that the server lost: resuming is not possible, so list again.
        const { message } = (object ?? {}) as { message?: unknown };
        throw new DatastoreError('EXPIRED', typeof message === 'string' ? message : 'watch refused');
      }
      default:
        break;
    }
    return versionOf(object);
  }

  /** Stores a version of an object. Returns its key; undefined when the value is not an object of the kind. */
  #put(raw: unknown): string | undefined {
    const identity = identityOf(raw);
    if (!identity || isOfAnotherKind(raw, this.#options.definition)) {
      this.#log.warn({ object: identity?.name }, 'object ignored: it has no name, or another kind');
      return undefined;
    }
    const key = keyOf(identity);
    const { resourceVersion = '' } = identity;
    if (this.#versions.get(key) === resourceVersion && resourceVersion !== '') return key;
    const { definition } = this.#options;
    const former = this.#objects.get(key);
    const { object, problem } = readObject(definition, raw, former);
    // After the read: if that threw, the version would otherwise count as processed.
    this.#versions.set(key, resourceVersion);
    const wasTroubled = this.#problems.delete(key);
    if (problem) {
      const { name, namespace, uid } = identity;
      const full = { kind: definition.kind, name, ...(namespace ? { namespace } : {}), ...problem };
      const { status } = raw as { status?: { conditions?: unknown } | null };
      const conditions = status?.conditions;
      this.#problems.set(key, { problem: full, uid, conditions, isAbsent: object === undefined });
      const { field, reason } = problem;
      this.#log.error({ object: key, ...(field ? { field } : {}), reason }, 'object has an invalid field');
    }
    this.#notice(key, object);
    if (object !== undefined && object !== former) {
      this.#objects.set(key, object);
      this.#notify(() => this.#events.changed(key, object));
    }
    if (problem || wasTroubled) this.#notify(() => this.#events.troubled?.());
    return key;
  }

  /** Updates the notices of an object and logs the new ones. Versions of an object usually have the same notices. */
  #notice(key: string, object: ObjectOf<D> | undefined): void {
    const { definition } = this.#options;
    if (object === undefined || !definition.withoutEffect) return;
    const known = this.#notices.get(key) ?? [];
    const notices = noticesOf(definition, object);
    const sentences = notices.map((notice) => `${definition.kind} ${key}: ${describeNotice(notice)}`);
    for (const [index, { field, message }] of notices.entries())
      if (!known.includes(sentences[index]!))
        this.#log.warn({ object: key, field, reason: message }, 'a field has no effect');
    if (sentences.length > 0) this.#notices.set(key, sentences);
    else this.#notices.delete(key);
  }

  #drop(key: string): void {
    this.#notices.delete(key);
    this.#versions.delete(key);
    const wasTroubled = this.#problems.delete(key);
    if (this.#objects.delete(key)) this.#notify(() => this.#events.changed(key, undefined));
    if (wasTroubled) this.#notify(() => this.#events.troubled?.());
  }

  /** Calls a handler. When it throws, the copy is not affected. */
  #notify(handler: () => void): void {
    try {
      handler();
    } catch (error) {
      this.#log.error({ err: error }, 'change handler failed');
    }
  }
}

interface WatchEvent {
  readonly type: string;
  readonly object: unknown;
}

function linesOf(splitter: LineSplitter, chunk: string): string[] {
  try {
    return splitter.push(chunk);
  } catch (error) {
    throw new DatastoreError('EXPIRED', messageOf(error), { cause: error });
  }
}

/** Parses an event of a watch. Throws DatastoreError EXPIRED for other text, so that the caller lists again. */
function parseEvent(line: string): WatchEvent {
  try {
    const event: unknown = JSON.parse(line);
    if (typeof event === 'object' && event !== null && 'type' in event && typeof event.type === 'string')
      return { type: event.type, object: 'object' in event ? event.object : undefined };
  } catch {
    // Thrown below.
  }
  throw new DatastoreError('EXPIRED', 'the server sent a line that is not an event');
}

/** Returns `namespace/name`, or `name` for cluster-scoped objects. */
function keyOf({ namespace, name }: { namespace?: string; name: string }): string {
  return namespace ? `${namespace}/${name}` : name;
}

function isOfAnotherKind(object: unknown, { kind }: ResourceDefinition): boolean {
  const { kind: its } = object as { kind?: unknown };
  return typeof its === 'string' && its !== kind;
}

/** Returns the resourceVersion of an object or of a bookmark, which has no name. */
function versionOf(object: unknown): string | undefined {
  const { metadata } = (object ?? {}) as { metadata?: { resourceVersion?: unknown } | null };
  const version = metadata?.resourceVersion;
  if (typeof version === 'number') return String(version);
  return typeof version === 'string' && version !== '' ? version : undefined;
}
