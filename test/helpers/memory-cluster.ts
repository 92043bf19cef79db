/** An API server in memory for agents: a MemoryStore with lists and watches, which can be unreachable. */
import type { ClusterApi, ListOptions, Page } from '../../datastore/datastore.ts';
import { DatastoreError } from '../../datastore/errors.ts';
import type { AnyResource, ResourceDefinition } from '../../datastore/schema/resource.ts';
import { MemoryStore } from './memory-store.ts';

interface Change {
  readonly revision: number;
  readonly plural: string;
  readonly type: string;
  readonly object: AnyResource;
}

export class MemoryCluster extends MemoryStore implements ClusterApi {
  readonly #history: Change[] = [];
  /** Wakes the watches. */
  readonly #watches = new Set<() => void>();
  #isDown = false;

  constructor() {
    super();
    this.before = async () => this.#assertUp();
    this.changed = (type, { plural }, object) => {
      const versioned = {
        ...object,
        metadata: { ...object.metadata, resourceVersion: String(this.revision) },
      };
      this.#history.push({ revision: this.revision, plural, type, object: versioned });
      this.#wake();
    };
  }

  get isDown(): boolean {
    return this.#isDown;
  }

  /** Ends all watches and refuses requests, until `isDown` is false. */
  set isDown(value: boolean) {
    this.#isDown = value;
    this.#wake();
  }

  async listPage(definition: ResourceDefinition, options: ListOptions): Promise<Page> {
    this.#assertUp();
    const items = this.all(definition).filter((object) => isSelected(object, options));
    return { items, resourceVersion: String(this.revision), next: undefined };
  }

  async watchStream(
    { plural }: ResourceDefinition,
    options: ListOptions,
    resourceVersion: string,
    _: number,
    signal: AbortSignal,
  ): Promise<AsyncIterable<string>> {
    this.#assertUp();
    return this.#events(plural, options, Number(resourceVersion), signal);
  }

  async *#events(plural: string, options: ListOptions, from: number, signal: AbortSignal) {
    let at = this.#history.findIndex(({ revision }) => revision > from);
    if (at < 0) at = this.#history.length;
    for (;;) {
      signal.throwIfAborted();
      this.#assertUp();
      const change = this.#history[at];
      if (!change) {
        await this.#next(signal);
        continue;
      }
      at++;
      if (change.plural === plural && isSelected(change.object, options))
        yield `${JSON.stringify({ type: change.type, object: change.object })}\n`;
    }
  }

  #next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#watches.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#watches.add(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }

  #wake(): void {
    for (const wake of [...this.#watches]) wake();
  }

  #assertUp(): void {
    if (this.#isDown) throw new DatastoreError('UNAVAILABLE', 'connection refused');
  }
}

/** Whether the object has the value of the field selector, the only kind of selector here. */
function isSelected(object: AnyResource, { fieldSelector }: ListOptions): boolean {
  if (fieldSelector === undefined) return true;
  const [path = '', value] = fieldSelector.split('=');
  let at: unknown = object;
  for (const name of path.split('.'))
    at = typeof at === 'object' && at !== null ? Reflect.get(at, name) : undefined;
  return at === value;
}
