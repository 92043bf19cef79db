/** Creation of an object that another program may create at the same moment. */
import type { Datastore } from './datastore.ts';
import { DatastoreError } from './errors.ts';
import type { ResourceDefinition } from './schema/resource.ts';

/** Whether it was made here; false when another program was first. Throws DatastoreError for every other failure. */
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
