/** The informers of one component: a local copy of each kind that it follows, and one signal when all are in sync. */
import type { Log } from '../lib/log.ts';
import type { Listing, ListOptions, ListWatch, ObjectOf } from './datastore.ts';
import { Informer, type InformerTime, type UnreadableObject } from './informer.ts';
import type { ResourceDefinition } from './schema/resource.ts';
import type { Shared } from './shared.ts';
import { type Watch, type WatchStates, watchStates } from './watch-metrics.ts';

/** Progress of the first lists of all kinds. */
export type SyncState = 'waiting' | 'resyncing' | 'in sync';

export interface InformersModules {
  readonly client: ListWatch;
  readonly time: InformerTime;
  readonly log: Log;
  /** Called when a kind was listed, and when an object or the list of problems changed. */
  readonly changed: () => void;
}

/** What an informer offers independently of its kind. */
type AnyInformer = Pick<
  Informer<ResourceDefinition>,
  'resource' | 'staleReason' | 'notices' | 'problems' | 'run'
>;

/** Add all kinds before `run`. */
export class Informers {
  readonly #modules: InformersModules;
  /** Without those of shared kinds, which other components run. */
  readonly #informers: AnyInformer[] = [];
  /** By kind, only kinds that are followed in full. Each resolves to a reader of the copy when the kind was listed. */
  readonly #listings = new Map<ResourceDefinition, Promise<() => Listing<ResourceDefinition>>>();
  /** Kinds, and those of them that have not been listed. */
  #kinds = 0;
  #unsynced = 0;

  constructor(modules: InformersModules) {
    this.#modules = modules;
  }

  /**
   * Follows a kind, or the objects of it that `options` select. `changed` replaces the common handler for changes of
   * objects of this kind.
   */
  add<D extends ResourceDefinition>(
    definition: D,
    options: ListOptions = {},
    changed: () => void = this.#modules.changed,
  ): Informer<D> {
    const { client, time, log } = this.#modules;
    let listed = () => {};
    const first = new Promise<void>((resolve) => {
      listed = resolve;
    });
    const informer = new Informer(
      { definition, ...options },
      { client, time, log, events: this.#events(changed, () => listed()) },
    );
    this.#informers.push(informer);
    const read = () => ({
      items: informer.list(),
      problems: [...informer.problems.values()].map(({ problem }) => problem),
    });
    if (Object.keys(options).length === 0)
      this.#listings.set(
        definition,
        first.then(() => read),
      );
    return informer;
  }

  /** Follows a kind in full. Returns a function that lists its objects. */
  list<D extends ResourceDefinition>(definition: D): () => ObjectOf<D>[] {
    const informer = this.add(definition);
    return () => informer.list();
  }

  /** Reads a kind that several components follow. Its owner runs the informer. */
  share<D extends ResourceDefinition>(shared: Shared<D>): Informer<D> {
    shared.add(this.#events(this.#modules.changed, () => {}));
    return shared.informer;
  }

  #events(changed: () => void, listed: () => void) {
    this.#kinds++;
    this.#unsynced++;
    return {
      changed: () => changed(),
      synced: () => {
        this.#unsynced--;
        listed();
        this.#modules.changed();
      },
      troubled: () => this.#modules.changed(),
    };
  }

  /** Follows the datastore until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#informers.map((informer) => informer.run(signal)));
  }

  /** Whether every kind has been listed. */
  get isSynced(): boolean {
    return this.#unsynced === 0;
  }

  /** Progress of the first lists. */
  get sync(): SyncState {
    if (this.isSynced) return 'in sync';
    return this.#unsynced < this.#kinds ? 'resyncing' : 'waiting';
  }

  /** Resolves to the objects of a kind when it has been listed; undefined for a kind that is not followed in full. */
  listed<D extends ResourceDefinition>(definition: D): Promise<Listing<D>> | undefined {
    return this.#listings.get(definition)?.then((read) => read() as Listing<D>);
  }

  /** The informers, except those of shared kinds. */
  get followed(): readonly Watch[] {
    return this.#informers;
  }

  /** Whether the watch of each resource is open. */
  watches(): WatchStates {
    return watchStates(this.#informers);
  }

  /** Why the copy may be outdated; empty while all watches are open. */
  get staleReasons(): string[] {
    return this.#informers.flatMap(({ staleReason }) => staleReason ?? []);
  }

  /** Returns sentences about fields without effect. */
  notices(): string[] {
    return this.#informers.flatMap(({ notices }) => notices);
  }

  /** Returns unreadable objects and objects with replaced fields. */
  problems(): UnreadableObject[] {
    return this.#informers.flatMap(({ problems }) => [...problems.values()]);
  }
}
