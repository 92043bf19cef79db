/** The datastore as the rest of the code sees it: typed objects with optimistic concurrency. */
import type { z } from 'zod';
import type { ObjectProblem } from './object-problem.ts';
import type { AnyResource, ResourceDefinition } from './schema/resource.ts';

/** The object type of a definition. */
export type ObjectOf<D> = D extends ResourceDefinition<infer S> ? z.output<S> : never;

export interface ListOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

/** What a list found. */
export interface Listing<D> {
  /** Objects that can be used, some of them with fallbacks for fields that cannot be read. */
  readonly items: ObjectOf<D>[];
  /** What is wrong with objects; those of which nothing can be used are named here alone. */
  readonly problems: readonly ObjectProblem[];
}

/**
 * Every method may throw DatastoreError; its code says what happened. `update` is a compare-and-swap on
 * metadata.resourceVersion, `remove` on the preconditions given.
 */
export interface Datastore {
  get<D extends ResourceDefinition>(
    definition: D,
    name: string,
    namespace?: string,
  ): Promise<ObjectOf<D> | undefined>;
  /** Objects that can be used. */
  list<D extends ResourceDefinition>(definition: D, options?: ListOptions): Promise<ObjectOf<D>[]>;
  /** The same, with what cannot be read: for decisions that follow from an object's absence. */
  listing<D extends ResourceDefinition>(definition: D, options?: ListOptions): Promise<Listing<D>>;
  create<D extends ResourceDefinition>(definition: D, object: unknown): Promise<ObjectOf<D>>;
  update<D extends ResourceDefinition>(definition: D, object: ObjectOf<D>): Promise<ObjectOf<D>>;
  /** JSON merge patch (RFC 7396), of the object or of its status subresource. */
  patch<D extends ResourceDefinition>(
    definition: D,
    name: string,
    patch: object,
    options?: { namespace?: string; isStatus?: boolean },
  ): Promise<ObjectOf<D>>;
  /** False when there was nothing to remove. */
  remove<D extends ResourceDefinition>(
    definition: D,
    name: string,
    options?: { namespace?: string; uid?: string; resourceVersion?: string },
  ): Promise<boolean>;
}

/** Objects as the server has them, unchecked: anything. Every method may throw DatastoreError. */
export interface RawDatastore {
  /** Undefined when there is no such object. */
  raw(definition: ResourceDefinition, name: string, namespace?: string): Promise<unknown>;
  rawList(definition: ResourceDefinition, options?: ListOptions): Promise<unknown[]>;
  /** A compare-and-swap on metadata.resourceVersion, of an object that this version may not know in full. */
  rawUpdate(definition: ResourceDefinition, object: AnyResource): Promise<void>;
}
