/** Interface of the datastore: typed objects with optimistic concurrency. */
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

/** Result of a list. */
export interface Listing<D> {
  /** Usable objects, some with fallbacks for unreadable fields. */
  readonly items: ObjectOf<D>[];
  /** Faults of objects. Unusable objects are only listed here. */
  readonly problems: readonly ObjectProblem[];
}

/**
 * Every method may throw DatastoreError, whose code gives the reason. `update` is a compare-and-swap on
 * metadata.resourceVersion, `remove` on the given preconditions.
 */
export interface Datastore {
  get<D extends ResourceDefinition>(
    definition: D,
    name: string,
    namespace?: string,
  ): Promise<ObjectOf<D> | undefined>;
  /** Returns the usable objects. */
  list<D extends ResourceDefinition>(definition: D, options?: ListOptions): Promise<ObjectOf<D>[]>;
  /** Returns the usable objects and all faults, for decisions based on an object's absence. */
  listing<D extends ResourceDefinition>(definition: D, options?: ListOptions): Promise<Listing<D>>;
  create<D extends ResourceDefinition>(definition: D, object: unknown): Promise<ObjectOf<D>>;
  update<D extends ResourceDefinition>(definition: D, object: ObjectOf<D>): Promise<ObjectOf<D>>;
  /** Applies a JSON merge patch (RFC 7396) to the object or to its status subresource. */
  patch<D extends ResourceDefinition>(
    definition: D,
    name: string,
    patch: object,
    options?: { namespace?: string; isStatus?: boolean },
  ): Promise<ObjectOf<D>>;
  /** Returns false when there is no such object. */
  remove<D extends ResourceDefinition>(
    definition: D,
    name: string,
    options?: { namespace?: string; uid?: string; resourceVersion?: string },
  ): Promise<boolean>;
}

/** Lists and watches, as informers need them. Every method may throw DatastoreError. */
export interface ListWatch {
  /** Returns a page of a list, without validation. `token` is the last page's `next`. */
  listPage(
    definition: ResourceDefinition,
    options: ListOptions,
    limit: number,
    token: string | undefined,
    signal?: AbortSignal,
  ): Promise<Page>;
  /** Opens a watch that starts at a resourceVersion. The text is a JSON event per line. Iteration may throw. */
  watchStream(
    definition: ResourceDefinition,
    options: ListOptions,
    resourceVersion: string,
    timeoutSeconds: number,
    signal: AbortSignal,
  ): Promise<AsyncIterable<string>>;
}

/** A page of a list. */
export interface Page {
  /** As the server returned them, not validated. */
  readonly items: readonly unknown[];
  readonly resourceVersion: string;
  readonly next: string | undefined;
}

/** The API as the agent uses it. The real one is kubernetes/client.ts; test/helpers/memory-api.ts is one in memory. */
export type ClusterApi = Datastore & ListWatch;

/** Objects as the server returns them, not validated. Every method may throw DatastoreError. */
export interface RawDatastore {
  /** Returns undefined when there is no such object. */
  raw(definition: ResourceDefinition, name: string, namespace?: string): Promise<unknown>;
  rawList(definition: ResourceDefinition, options?: ListOptions): Promise<unknown[]>;
  /** Compare-and-swap on metadata.resourceVersion. The object may have fields that this version does not support. */
  rawUpdate(definition: ResourceDefinition, object: AnyResource): Promise<void>;
}
