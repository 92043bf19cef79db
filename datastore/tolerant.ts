/** Reads an object that may be unreadable, for callers that can continue without it. */
import type { Datastore, ObjectOf } from './datastore.ts';
import { DatastoreError } from './errors.ts';
import type { ResourceDefinition } from './schema/resource.ts';

export interface Found<D> {
  readonly object: ObjectOf<D> | undefined;
  /** Why the existing object is unreadable. */
  readonly unreadable?: string;
}

/** Throws DatastoreError for all failures other than an unreadable object. */
export async function getTolerant<D extends ResourceDefinition>(
  store: Datastore,
  definition: D,
  name: string,
): Promise<Found<D>> {
  try {
    return { object: await store.get(definition, name) };
  } catch (error) {
    if (!(error instanceof DatastoreError) || error.code !== 'INVALID') throw error;
    return { object: undefined, unreadable: error.message };
  }
}
