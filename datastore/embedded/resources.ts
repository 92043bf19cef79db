/** The API's verbs on objects, without HTTP: validation, optimistic concurrency, subresources, finalizers. */
import { randomUUID } from 'node:crypto';
import { messageOf } from '../../lib/errors.ts';
import { printable } from '../../lib/plain-text.ts';
import { registry } from '../registry.ts';
import {
  type AnyResource,
  apiVersionOf,
  CALICO_GROUP,
  type Existing,
  type ResourceDefinition,
} from '../schema/resource.ts';
import { describeNotice, noticesOf } from '../schema/without-effect.ts';
import { describeInvalid, describeUnknownField, validateResource } from '../validate.ts';
import { patchTypes } from './patch.ts';
import { ApiError, alreadyExists, badRequest, conflict, notFound } from './status.ts';
import type { Store } from './store.ts';

/** The object of a request. `namespace` is '' for cluster-scoped kinds. */
export interface Target {
  readonly definition: ResourceDefinition;
  readonly namespace: string;
  readonly name: string;
  readonly isStatus: boolean;
}

export interface WriteOptions {
  /** Kubernetes' fieldValidation: Strict refuses unknown fields, Warn reports them, Ignore prunes them silently. */
  readonly fieldValidation: string | null;
  readonly dryRun: boolean;
  /** Receives warnings for the client of a successful write. */
  warn(message: string): void;
}

export interface Preconditions {
  readonly uid?: string;
  readonly resourceVersion?: string;
}

/** Returns the store prefix of all objects of a kind, in one namespace or, with '', in all. */
export function prefixOf(definition: ResourceDefinition, namespace: string): string {
  const kind = `${definition.group}/${definition.plural}/`;
  return namespace === '' ? kind : `${kind}${namespace}/`;
}

function keyOf({ definition, namespace, name }: Target): string {
  return `${prefixOf(definition, namespace)}${name}`;
}

export class Resources {
  readonly #store: Store;
  readonly #existing: Existing;
  readonly #now: () => number;

  constructor(store: Store, now: () => number) {
    this.#store = store;
    this.#now = now;
    this.#existing = {
      list: (plural) => {
        const definition = registry.find((candidate) => candidate.plural === plural);
        return definition ? store.list(prefixOf(definition, '')) : [];
      },
    };
  }

  get(target: Target): AnyResource {
    const object = this.#store.get(keyOf(target));
    if (!object) throw notFound(target.definition, target.name);
    return object;
  }

  async create(target: Target, body: AnyResource, options: WriteOptions): Promise<AnyResource> {
    const { definition } = target;
    const metadata = { ...body.metadata };
    if (!metadata.name && typeof metadata['generateName'] === 'string') {
      metadata.name = metadata['generateName'] + randomUUID().slice(0, 5);
    }
    if (definition.namespaced) metadata.namespace = this.#namespaceFor(target, metadata.namespace);
    if (metadata.resourceVersion)
      throw badRequest('resourceVersion should not be set on objects to be created');
    const created: AnyResource = {
      ...body,
      metadata: {
        ...withoutEmpty(metadata),
        uid: randomUUID(),
        creationTimestamp: new Date(this.#now()).toISOString().replace(/\.\d+Z$/, 'Z'),
        generation: 1,
      },
    };
    const object = this.#validate(definition, created, undefined, options);
    const key = keyOf({ ...target, name: object.metadata.name });
    if (this.#store.get(key)) throw alreadyExists(definition, object.metadata.name);
    return options.dryRun ? object : this.#store.commit(key, object);
  }

  async update(target: Target, body: AnyResource, options: WriteOptions): Promise<AnyResource> {
    const { definition, name } = target;
    const old = this.get(target);
    if (body.metadata?.name !== name) {
      throw badRequest(
        `the name of the object (${body.metadata?.name}) does not match the name on the URL (${name})`,
      );
    }
    const wanted = body.metadata.resourceVersion;
    if (wanted && wanted !== old.metadata.resourceVersion) {
      throw conflict(
        definition,
        name,
        'the object has been modified; please apply your changes to the latest version and try again',
      );
    }
    if (body.metadata.uid && body.metadata.uid !== old.metadata.uid) {
      throw conflict(
        definition,
        name,
        `Precondition failed: UID in precondition: ${printable(body.metadata.uid, 100)}, UID in object meta: ${old.metadata.uid}`,
      );
    }
    const object = withGeneration(this.#validate(definition, merged(target, old, body), old, options), old);
    const finalizers = object.metadata['finalizers'] as unknown[] | undefined;
    if (options.dryRun) return object;
    if (old.metadata.deletionTimestamp && !finalizers?.length) return this.#store.commit(keyOf(target), null);
    if (isUnchanged(object, old)) {
      await this.#store.settled();
      return old;
    }
    return this.#store.commit(keyOf(target), object);
  }

  async patch(
    target: Target,
    contentType: string,
    patch: unknown,
    options: WriteOptions,
  ): Promise<AnyResource> {
    const apply = patchTypes[contentType];
    if (!apply) {
      throw new ApiError(
        415,
        'UnsupportedMediaType',
        `patches of type ${contentType} are not supported: use ${Object.keys(patchTypes).join(', ')}`,
      );
    }
    const old = this.get(target);
    const json = JSON.parse(JSON.stringify(old));
    let patched: AnyResource;
    try {
      patched = apply(json, patch as Parameters<typeof apply>[1]) as unknown as AnyResource;
    } catch (error) {
      if (error instanceof SyntaxError) throw badRequest(error.message);
      if (error instanceof RangeError) throw new ApiError(422, 'Invalid', messageOf(error));
      throw error;
    }
    return this.update(target, patched, options);
  }

  async delete(target: Target, preconditions: Preconditions, dryRun: boolean): Promise<AnyResource> {
    const { definition, name } = target;
    const old = this.get(target);
    for (const field of ['uid', 'resourceVersion'] as const) {
      const wanted = preconditions[field];
      if (wanted && wanted !== old.metadata[field]) {
        throw conflict(
          definition,
          name,
          `the precondition ${field}=${wanted} does not hold: it is ${old.metadata[field]}`,
        );
      }
    }
    if (dryRun) return old;
    if ((old.metadata['finalizers'] as unknown[] | undefined)?.length) {
      if (old.metadata.deletionTimestamp) return old;
      const deletionTimestamp = new Date(this.#now()).toISOString();
      return this.#store.commit(keyOf(target), { ...old, metadata: { ...old.metadata, deletionTimestamp } });
    }
    if (definition.group === '' && definition.kind === 'Namespace') await this.#empty(name);
    return this.#store.commit(keyOf(target), null);
  }

  /** Deletes all objects in a namespace. */
  async #empty(namespace: string): Promise<void> {
    for (const definition of registry.filter(({ namespaced }) => namespaced)) {
      for (const { metadata } of this.#store.list(prefixOf(definition, namespace))) {
        await this.delete({ definition, namespace, name: metadata.name, isStatus: false }, {}, false);
      }
    }
  }

  #namespaceFor(target: Target, inBody: string | undefined): string {
    if (inBody && inBody !== target.namespace) {
      throw badRequest(
        `the namespace of the provided object does not match the namespace sent on the request (${inBody}, ${target.namespace})`,
      );
    }
    const namespaces = registry.find(({ kind }) => kind === 'Namespace')!;
    if (!this.#store.get(`${prefixOf(namespaces, '')}${target.namespace}`))
      throw notFound(namespaces, target.namespace);
    return target.namespace;
  }

  #validate(
    definition: ResourceDefinition,
    input: AnyResource,
    old: AnyResource | undefined,
    options: WriteOptions,
  ): AnyResource {
    const expected = apiVersionOf(definition);
    if (input.apiVersion !== expected || input.kind !== definition.kind) {
      throw badRequest(
        `the object provided is ${input.apiVersion}, Kind=${input.kind}; this URL accepts ${expected}, Kind=${definition.kind}`,
      );
    }
    const result = validateResource(definition, input, old, this.#existing);
    if (result.unknownFields.length > 0) {
      const named = result.unknownFields.map((field) => describeUnknownField(definition, field));
      if (options.fieldValidation === 'Strict')
        throw badRequest(`strict decoding error: ${named.join(', ')}`);
      if (options.fieldValidation !== 'Ignore') for (const message of named) options.warn(message);
    }
    if (!result.ok) {
      const name = input.metadata?.name ?? '';
      const causes = result.errors.map(({ field, message }) => ({
        reason: 'FieldValueInvalid',
        message,
        field,
      }));
      const details = { name, group: definition.group, kind: definition.kind, causes };
      throw new ApiError(422, 'Invalid', describeInvalid(definition, name, result.errors), details);
    }
    for (const notice of noticesOf(definition, result.object)) options.warn(describeNotice(notice));
    return result.object;
  }
}

/** Returns the object after an update: identity fields stay, and a subresource changes only its own part. */
function merged({ definition, isStatus }: Target, old: AnyResource, body: AnyResource): AnyResource {
  // Only the core kinds also accept labels and annotations through the status, as in Kubernetes.
  if (isStatus && definition.group === CALICO_GROUP) return { ...old, status: body['status'] };
  const { uid, creationTimestamp, deletionTimestamp, generation, namespace } = old.metadata;
  const base: AnyResource = isStatus ? { ...old, status: body['status'] } : { ...body };
  if (!isStatus && definition.hasStatus) base['status'] = old['status'];
  return {
    ...base,
    metadata: {
      ...withoutEmpty(body.metadata),
      ...(namespace ? { namespace } : {}),
      uid,
      creationTimestamp,
      ...(deletionTimestamp ? { deletionTimestamp } : {}),
      generation,
    },
  };
}

/** Removes fields that are null or empty, which Kubernetes does not store, and those that only the server sets. */
function withoutEmpty(metadata: AnyResource['metadata']): AnyResource['metadata'] {
  const { deletionTimestamp: _, ...given } = metadata;
  const isEmpty = (value: unknown) =>
    value === null || (typeof value === 'object' && Object.keys(value ?? {}).length === 0);
  const { name } = metadata;
  return { ...Object.fromEntries(Object.entries(given).filter(([, value]) => !isEmpty(value))), name };
}

/** Raises the generation when the spec differs, after defaults are set on both. */
function withGeneration(object: AnyResource, old: AnyResource): AnyResource {
  const generation = old.metadata.generation ?? 1;
  const isSpecSame = isEqual(object['spec'], old['spec']);
  return {
    ...object,
    metadata: { ...object.metadata, generation: isSpecSame ? generation : generation + 1 },
  };
}

function isUnchanged(object: AnyResource, old: AnyResource): boolean {
  const strip = ({ metadata: { resourceVersion: _, ...metadata }, ...rest }: AnyResource) => ({
    ...rest,
    metadata,
  });
  return isEqual(strip(object), strip(old));
}

/** Compares JSON values. The order of keys does not count. */
function isEqual(one: unknown, other: unknown): boolean {
  const [a, b] = [JSON.stringify(one), JSON.stringify(other)];
  if (a === b) return true;
  // The order of keys does not affect the length, so this finds most changes without sorting.
  if (a?.length !== b?.length) return false;
  return JSON.stringify(sortKeys(one)) === JSON.stringify(sortKeys(other));
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([k, v]) => [k, sortKeys(v)]),
  );
}
