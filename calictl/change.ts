/** Reads an object, edits it and writes it back. Retries when another write came in between. */
import { DatastoreError } from '../datastore/errors.ts';
import { type AnyResource, resourceOf } from '../datastore/schema/resource.ts';
import { type Access, missing } from './access.ts';

/** As calicoctl. */
const MAX_ATTEMPTS = 5;

/** Changes an object. `edit` may run several times and may throw. Returns false if unchanged. Throws DatastoreError. */
export async function change(
  access: Access,
  kind: string,
  { name, namespace }: { readonly name: string; readonly namespace: string | undefined },
  edit: (object: AnyResource) => AnyResource,
): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    const stored = resourceOf(await access.get(name, namespace));
    if (!stored) throw missing(kind, name);
    const edited = edit(stored);
    if (JSON.stringify(edited) === JSON.stringify(stored)) return false;
    try {
      await access.replace(edited);
      return true;
    } catch (error) {
      const isOvertaken = error instanceof DatastoreError && error.code === 'CONFLICT';
      if (!isOvertaken || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}
