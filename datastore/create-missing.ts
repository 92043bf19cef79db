/** Creates objects that another program may create at the same time. */
import type { Datastore } from './datastore.ts';
import { DatastoreError } from './errors.ts';
import type { ResourceDefinition } from './schema/resource.ts';

/** Returns whether this call created the object; false when it exists. Throws DatastoreError for other failures. */
export async function createMissing(
  store: Pick<Datastore, 'create'>,
  definition: ResourceDefinition,
  object: unknown,
): Promise<boolean> {
  try {
    await store.create(definition, object);
    return true;
  } catch (error) {
    if (error instanceof DatastoreError && error.code === 'ALREADY_EXISTS') return false;
    throw error;
  }
}
