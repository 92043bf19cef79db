/** Deletes IPPools. A pool whose addresses are in use stays until they are free. */
import type { Datastore } from '../datastore/datastore.ts';
import { type IPPool, ipPoolKind, isTerminating, POOL_FINALIZER } from '../datastore/schema/ip-pool.ts';
import { ipamBlockKind } from '../datastore/schema/ipam.ts';
import { getTolerant } from '../datastore/tolerant.ts';
import { allocationsOf } from '../ipam/block.ts';
import { blocksIn } from '../ipam/pool-use.ts';

export interface PoolDeletionResult {
  /** Whether there was a pool to delete. */
  readonly isRemoved: boolean;
  /** A remark for the user. */
  readonly note?: string;
}

/** Deletes a pool. One in use gets the finalizer first if cali-controllers has not set it. Throws DatastoreError. */
export async function deletePool(store: Datastore, name: string): Promise<PoolDeletionResult> {
  const { object: pool } = await getTolerant(store, ipPoolKind, name);
  const used = pool ? await addressesIn(store, pool) : 0;
  // A terminating object takes no further finalizer.
  if (pool && used > 0 && !isTerminating(pool) && !pool.metadata.finalizers?.includes(POOL_FINALIZER)) {
    const { resourceVersion, finalizers } = pool.metadata;
    const wanted = { resourceVersion, finalizers: [...(finalizers ?? []), POOL_FINALIZER] };
    await store.patch(ipPoolKind, name, { metadata: wanted });
  }
  const isRemoved = await store.remove(ipPoolKind, name);
  const { object: left } = await getTolerant(store, ipPoolKind, name);
  if (!isRemoved || !left || !isTerminating(left)) return { isRemoved };
  const count = `${used === 0 ? 'no' : used} ${used <= 1 ? 'address is' : 'addresses are'} in use`;
  const wait =
    used === 0
      ? 'cali-controllers will remove the pool shortly'
      : 'it assigns no new ones, pods keep theirs, and cali-controllers remove the pool when all are free ' +
        '(calictl ipam show --show-blocks)';
  return { isRemoved, note: `IPPool ${name} is being deleted: ${count}; ${wait}` };
}

async function addressesIn(store: Datastore, pool: IPPool): Promise<number> {
  const blocks = blocksIn(pool, await store.list(ipamBlockKind));
  return blocks.reduce((sum, { spec }) => sum + allocationsOf(spec).length, 0);
}
