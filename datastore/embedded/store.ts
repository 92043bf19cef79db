/**
 * Objects with revisions from one counter, and a history of changes for watches. The journal makes them durable. A
 * change takes effect in memory at once, so that the next request sees it. Its response and its watch events are sent
 * only when it is on the disk.
 */
import { CodedError, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { AnyResource } from '../schema/resource.ts';
import { Journal, type JournalRecord } from './journal.ts';

/** A committed change, as watches receive it. */
export interface Change {
  readonly revision: number;
  readonly key: string;
  readonly object: AnyResource | null;
  readonly previous: AnyResource | undefined;
}

export interface StoreOptions {
  readonly directory: string;
  /** Changes kept for watches that resume; older resume points get 410. */
  readonly historyLimit?: number;
  /** Journal size that triggers a snapshot, bytes. */
  readonly compactBytes?: number;
}

export class Store {
  readonly #journal: Journal;
  readonly #options: Required<StoreOptions>;
  readonly #log: Log;
  readonly #objects: Map<string, AnyResource>;
  /** Durable changes only. Bounded by historyLimit. */
  #history: Change[];
  #oldest: number;
  #revision: number;
  #durable: number;
  #lastWrite: Promise<void> = Promise.resolve();
  #writes = 0;
  #broken: Error | undefined;
  readonly #listeners = new Set<(change: Change) => void>();
  #compacting: Promise<void> | undefined;

  private constructor(
    options: Required<StoreOptions>,
    log: Log,
    journal: Journal,
    state: Awaited<ReturnType<typeof Journal.open>>['recovered'],
  ) {
    this.#options = options;
    this.#log = log;
    this.#journal = journal;
    this.#objects = state.objects;
    this.#revision = state.revision;
    this.#durable = state.revision;
    this.#oldest = (state.records[0]?.revision ?? state.revision + 1) - 1;
    this.#history = historyOf(state.records);
  }

  static async open(options: StoreOptions, log: Log): Promise<Store> {
    const { journal, recovered } = await Journal.open(options.directory);
    if (recovered.droppedBytes > 0) {
      log.warn({ bytes: recovered.droppedBytes }, 'dropped the torn last record of the journal');
    }
    return new Store({ historyLimit: 10_000, compactBytes: 16 << 20, ...options }, log, journal, recovered);
  }

  /** Revision of the newest change that is on the disk. */
  get revision(): number {
    return this.#durable;
  }

  get(key: string): AnyResource | undefined {
    return this.#objects.get(key);
  }

  /** Objects whose key starts with the prefix, in key order. */
  list(prefix: string): AnyResource[] {
    const found: [string, AnyResource][] = [];
    for (const entry of this.#objects) if (entry[0].startsWith(prefix)) found.push(entry);
    return found.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
  }

  /** Resolves when all changes so far, which readers may have seen, are on the disk. */
  settled(): Promise<void> {
    return this.#lastWrite;
  }

  /**
   * Stores the object under the next revision, which becomes its resourceVersion; null deletes the key. The caller
   * makes its checks in the same turn. Rejects when the disk write fails.
   */
  async commit(key: string, object: AnyResource | null): Promise<AnyResource> {
    if (this.#broken) throw this.#broken;
    const previous = this.#objects.get(key);
    const revision = ++this.#revision;
    const stored = object ?? previous;
    if (!stored) throw new Error(`commit: nothing to delete under ${key}`);
    const versioned: AnyResource = {
      ...stored,
      metadata: { ...stored.metadata, resourceVersion: String(revision) },
    };
    if (object) this.#objects.set(key, versioned);
    else this.#objects.delete(key);
    const change: Change = {
      revision,
      key,
      object: object && versioned,
      previous: object ? previous : versioned,
    };
    this.#writes++;
    const written = this.#journal.append({ revision, key, object: change.object });
    this.#lastWrite = written.catch(() => undefined);
    try {
      await written;
    } catch (error) {
      // Memory is now ahead of the disk. Refuse further changes until a restart reads the disk.
      this.#broken = new CodedError('DISK_FAILED', `the journal cannot be written: ${messageOf(error)}`, {
        cause: error,
      });
      throw this.#broken;
    } finally {
      this.#writes--;
    }
    this.#publish(change);
    this.#compactWhenLarge();
    return versioned;
  }

  /**
   * Calls `listener` for every change after `revision`, at once for past ones. Returns a function that ends the watch;
   * undefined when the revision is no longer in the history (410 Gone) or is in the future.
   */
  watch(revision: number, listener: (change: Change) => void): (() => void) | undefined {
    if (revision < this.#oldest || revision > this.#durable) return undefined;
    for (const change of this.#history) if (change.revision > revision) listener(change);
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Drops the history, as etcd's compaction does. */
  compactHistory(): void {
    this.#history = [];
    this.#oldest = this.#durable;
  }

  async close(): Promise<void> {
    await this.#compacting;
    await this.#journal.close();
  }

  #publish(change: Change): void {
    this.#durable = change.revision;
    this.#history.push(change);
    if (this.#history.length > this.#options.historyLimit) {
      const cut = this.#history.length - Math.floor(this.#options.historyLimit / 2);
      this.#oldest = this.#history[cut - 1]!.revision;
      this.#history.splice(0, cut);
    }
    for (const listener of this.#listeners) listener(change);
  }

  /** Makes a snapshot when the journal is large. During other writes it returns; the last of them calls it again. */
  #compactWhenLarge(): void {
    if (this.#compacting || this.#writes > 0 || this.#journal.bytes < this.#options.compactBytes) return;
    this.#compacting = this.#journal
      .compact(this.#revision, this.#objects)
      .catch((error: unknown) => this.#log.error({ err: error }, 'snapshot failed; the journal continues'))
      .finally(() => {
        this.#compacting = undefined;
      });
  }
}

function historyOf(records: readonly JournalRecord[]): Change[] {
  const last = new Map<string, AnyResource | undefined>();
  return records.map(({ revision, key, object }) => {
    const previous = last.get(key);
    last.set(key, object ?? undefined);
    return { revision, key, object, previous };
  });
}
