/** The datastore during set-up. It returns lists from the view, so that no kind is listed twice. */
import type { Datastore, Listing, ListOptions } from '../../datastore/datastore.ts';
import type { ResourceDefinition } from '../../datastore/schema/resource.ts';
import type { Clock } from '../../lib/time.ts';

/** Copies of kinds; undefined for a kind without a copy. The promise resolves when the copy is complete. */
export interface Copies {
  listed<D extends ResourceDefinition>(definition: D): Promise<Listing<D>> | undefined;
}

/** After this time the request is sent anyway, because its error shows the cause. */
const PATIENCE_MS = 5_000;

export function listedStore(store: Datastore, copies: Copies, clock: Pick<Clock, 'after'>): Datastore {
  const listing = async <D extends ResourceDefinition>(definition: D, options?: ListOptions) => {
    const copy = options === undefined ? copies.listed(definition) : undefined;
    return (copy && (await within(clock, PATIENCE_MS, copy))) ?? store.listing(definition, options);
  };
  return {
    listing,
    list: async (definition, options) => (await listing(definition, options)).items,
    get: (...request) => store.get(...request),
    create: (...request) => store.create(...request),
    update: (...request) => store.update(...request),
    patch: (...request) => store.patch(...request),
    remove: (...request) => store.remove(...request),
  };
}

function within<T>(clock: Pick<Clock, 'after'>, ms: number, promise: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(ms, () => resolve(undefined));
    promise.then(resolve, reject).finally(cancel);
  });
}
