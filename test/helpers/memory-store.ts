/** A datastore in memory with the API's compare-and-swap rules, for property tests of IPAM. */
import { randomUUID } from 'node:crypto';
import type { Datastore, Listing, ListOptions, ObjectOf, RawDatastore } from '../../datastore/datastore.ts';
import { mergePatch } from '../../datastore/embedded/patch.ts';
import { DatastoreError } from '../../datastore/errors.ts';
import type { AnyResource, ResourceDefinition } from '../../datastore/schema/resource.ts';

export class MemoryStore implements Datastore {
  /** By plural name of the kind, then by name. Frozen, because `all` returns them as they are. */
  readonly #objects = new Map<string, Map<string, AnyResource>>();
  /** Number of changes so far. */
  revision = 0;
  /** Called before every operation: may wait, or throw to simulate a crash. */
  before: (operation: string) => Promise<void> = async () => undefined;
  /** Called with each change, before `after`. */
  changed: (
    type: 'ADDED' | 'MODIFIED' | 'DELETED',
    definition: ResourceDefinition,
    object: AnyResource,
  ) => void = () => undefined;
  /** Called after every write that took effect: throwing simulates a crash before the response. */
  after: (operation: string) => void = () => undefined;

  /** Returns the stored objects, as an informer does: the same ones until they change. */
  all(definition: ResourceDefinition): AnyResource[] {
    return [...this.#of(definition).values()];
  }

  async get<D extends ResourceDefinition>(definition: D, name: string): Promise<ObjectOf<D> | undefined> {
    await this.before('get');
    const object = this.#of(definition).get(name);
    return object && (structuredClone(object) as unknown as ObjectOf<D>);
  }

  async list<D extends ResourceDefinition>(definition: D, _options?: ListOptions): Promise<ObjectOf<D>[]> {
    await this.before('list');
    return structuredClone(this.all(definition)) as unknown as ObjectOf<D>[];
  }

  async listing<D extends ResourceDefinition>(definition: D): Promise<Listing<D>> {
    return { items: await this.list(definition), problems: [] };
  }

  async create<D extends ResourceDefinition>(definition: D, object: unknown): Promise<ObjectOf<D>> {
    await this.before('create');
    const input = structuredClone(object) as AnyResource;
    const { name } = input.metadata;
    if (this.#of(definition).has(name))
      throw new DatastoreError('ALREADY_EXISTS', `${definition.plural}/${name} already exists`);
    return this.#store(
      definition,
      { ...input, metadata: { ...input.metadata, uid: randomUUID() } },
      'create',
    );
  }

  async update<D extends ResourceDefinition>(definition: D, object: ObjectOf<D>): Promise<ObjectOf<D>> {
    await this.before('update');
    const input = structuredClone(object) as unknown as AnyResource;
    const old = this.#existing(definition, input.metadata.name);
    if (
      old.metadata.resourceVersion !== input.metadata.resourceVersion ||
      old.metadata.uid !== input.metadata.uid
    ) {
      throw new DatastoreError('CONFLICT', `${input.metadata.name} has been modified`);
    }
    return this.#store(definition, input, 'update');
  }

  async patch<D extends ResourceDefinition>(
    definition: D,
    name: string,
    patch: object,
  ): Promise<ObjectOf<D>> {
    await this.before('patch');
    const old = this.#existing(definition, name);
    const patched = mergePatch(old as never, patch as never) as unknown as AnyResource;
    return this.#store(definition, patched, 'patch');
  }

  async remove(
    definition: ResourceDefinition,
    name: string,
    options: { uid?: string; resourceVersion?: string } = {},
  ): Promise<boolean> {
    await this.before('remove');
    const old = this.#of(definition).get(name);
    if (!old) return false;
    for (const field of ['uid', 'resourceVersion'] as const) {
      if (options[field] && options[field] !== old.metadata[field])
        throw new DatastoreError('CONFLICT', `${name} has been modified`);
    }
    this.#of(definition).delete(name);
    this.revision++;
    this.changed('DELETED', definition, old);
    this.after('remove');
    return true;
  }

  #of(definition: ResourceDefinition): Map<string, AnyResource> {
    let objects = this.#objects.get(definition.plural);
    if (!objects) {
      objects = new Map();
      this.#objects.set(definition.plural, objects);
    }
    return objects;
  }

  #existing(definition: ResourceDefinition, name: string): AnyResource {
    const found = this.#of(definition).get(name);
    if (!found) throw new DatastoreError('NOT_FOUND', `${definition.plural}/${name} not found`);
    return found;
  }

  #store<D extends ResourceDefinition>(definition: D, object: AnyResource, operation: string): ObjectOf<D> {
    const resourceVersion = String(++this.revision);
    const stored = definition.schema.parse({
      ...object,
      metadata: { ...object.metadata, resourceVersion },
    }) as AnyResource;
    const objects = this.#of(definition);
    const type = objects.has(object.metadata.name) ? 'MODIFIED' : 'ADDED';
    objects.set(object.metadata.name, deepFreeze(stored));
    this.changed(type, definition, stored);
    this.after(operation);
    return structuredClone(stored) as unknown as ObjectOf<D>;
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}

/** A MemoryStore that calictl can use. `put` stores what the schema rejects, as a server without our rules does. */
export class MemoryApi extends MemoryStore implements RawDatastore {
  readonly #unreadable = new Map<string, unknown>();

  put(definition: ResourceDefinition, name: string, object: unknown): void {
    this.#unreadable.set(`${definition.plural}/${name}`, object);
  }

  async raw(definition: ResourceDefinition, name: string): Promise<unknown> {
    return this.#unreadable.get(`${definition.plural}/${name}`) ?? this.get(definition, name);
  }

  async rawList(definition: ResourceDefinition): Promise<unknown[]> {
    const unreadable = [...this.#unreadable].filter(([key]) => key.startsWith(`${definition.plural}/`));
    return [...(await this.list(definition)), ...unreadable.map(([, object]) => object)];
  }

  override async get<D extends ResourceDefinition>(
    definition: D,
    name: string,
  ): Promise<ObjectOf<D> | undefined> {
    if (this.#unreadable.has(`${definition.plural}/${name}`))
      throw new DatastoreError('INVALID', `${definition.kind} ${name} cannot be read`);
    return super.get(definition, name);
  }

  override async listing<D extends ResourceDefinition>(definition: D): Promise<Listing<D>> {
    const hidden = [...this.#unreadable.keys()].filter((key) => key.startsWith(`${definition.plural}/`));
    const problems = hidden.map((key) => ({
      kind: definition.kind,
      name: key.slice(definition.plural.length + 1),
      reason: 'cannot be read',
    }));
    return { items: await this.list(definition), problems };
  }

  async rawUpdate(definition: ResourceDefinition, object: AnyResource): Promise<void> {
    await this.update(definition, object as never);
  }
}
