/** Deletes IPPools. A pool whose addresses are in use stays until they are free. */
import type { Datastore, RawDatastore } from '../datastore/datastore.ts';
import { DatastoreError } from '../datastore/errors.ts';
import { type IPPool, ipPoolKind, isTerminating, POOL_FINALIZER } from '../datastore/schema/ip-pool.ts';
import { type IPAMBlock, ipamBlockKind } from '../datastore/schema/ipam.ts';
import { type AnyResource, resourceOf } from '../datastore/schema/resource.ts';
import { getTolerant } from '../datastore/tolerant.ts';
import { allocationsOf } from '../ipam/block.ts';
import { blocksIn } from '../ipam/pool-use.ts';
import { type Cidr, contains, mustCidr, parseCidr } from '../lib/cidr.ts';

export interface PoolDeletionResult {
  /** Whether there was a pool to delete. */
  readonly isRemoved: boolean;
  /** A remark for the user. */
  readonly note?: string;
}

/**
 * Deletes a pool. One in use gets the finalizer first if cali-controllers has not set it. Refuses to delete an unreadable
 * pool without the finalizer while addresses may be in use: cali-controllers does not guard a pool that it cannot read.
 * Throws DatastoreError. (calicoctl refuses every pool that it cannot validate, because it disables the pool first.)
 */
export async function deletePool(store: Datastore & RawDatastore, name: string): Promise<PoolDeletionResult> {
  const { object: pool, unreadable } = await getTolerant(store, ipPoolKind, name);
  if (unreadable !== undefined) await assertUnused(store, name, unreadable);
  const { used, isComplete } = pool ? await usageIn(store, pool) : { used: 0, isComplete: true };
  const isInUse = used > 0 || !isComplete;
  // A terminating object takes no further finalizer.
  if (pool && isInUse && !isTerminating(pool) && !pool.metadata.finalizers?.includes(POOL_FINALIZER)) {
    const { resourceVersion, finalizers } = pool.metadata;
    const wanted = { resourceVersion, finalizers: [...(finalizers ?? []), POOL_FINALIZER] };
    await store.patch(ipPoolKind, name, { metadata: wanted });
  }
  const isRemoved = await store.remove(ipPoolKind, name);
  const { object: left } = await getTolerant(store, ipPoolKind, name);
  if (!isRemoved || !left || !isTerminating(left)) return { isRemoved };
  const count = isComplete
    ? `${used === 0 ? 'no' : used} ${used <= 1 ? 'address is' : 'addresses are'} in use`
    : 'blocks that cannot be read may be in it';
  const wait =
    used === 0 && isComplete
      ? 'cali-controllers will remove the pool shortly'
      : 'it assigns no new ones, pods keep theirs, and cali-controllers remove the pool when all are free ' +
        '(calictl ipam show --show-blocks)';
  return { isRemoved, note: `IPPool ${name} is being deleted: ${count}; ${wait}` };
}

/** Counts a pool's addresses in use. `isComplete`: whether every block could be read. */
async function usageIn(store: Datastore, pool: IPPool): Promise<{ used: number; isComplete: boolean }> {
  const { items, problems } = await store.listing(ipamBlockKind);
  return { used: allocated(blocksIn(pool, items)), isComplete: problems.length === 0 };
}

/** Throws DatastoreError FORBIDDEN when addresses of an unreadable pool without our finalizer may be in use. */
async function assertUnused(store: Datastore & RawDatastore, name: string, reason: string): Promise<void> {
  const raw = resourceOf(await store.raw(ipPoolKind, name));
  if (raw?.metadata.finalizers?.includes(POOL_FINALIZER)) return;
  const [{ items: blocks, problems }, { items: pools }] = await Promise.all([
    store.listing(ipamBlockKind),
    store.listing(ipPoolKind),
  ]);
  const range = rangeOf(raw);
  const others = pools.filter((one) => one.metadata.name !== name).map(({ spec }) => mustCidr(spec.cidr));
  // Without a range, every block that no readable pool contains may be of this pool.
  const own = blocks.filter(({ spec }) => {
    const block = mustCidr(spec.cidr);
    return range ? contains(range, block) : !others.some((other) => contains(other, block));
  });
  const used = allocated(own);
  if (used === 0 && problems.length === 0) return;
  const count =
    problems.length > 0
      ? 'blocks that cannot be read may be in it'
      : `${used} ${used === 1 ? 'address' : 'addresses'} may be in use`;
  throw new DatastoreError(
    'FORBIDDEN',
    `IPPool ${name} cannot be read (${reason}), and ${count}: correct the pool, then delete it`,
  );
}

/** Returns the range of a pool whose other fields may be invalid. */
function rangeOf(raw: AnyResource | undefined): Cidr | undefined {
  const spec: unknown = raw && 'spec' in raw ? raw.spec : undefined;
  const cidr = typeof spec === 'object' && spec !== null && 'cidr' in spec ? spec.cidr : undefined;
  return typeof cidr === 'string' ? parseCidr(cidr) : undefined;
}

function allocated(blocks: readonly IPAMBlock[]): number {
  return blocks.reduce((sum, { spec }) => sum + allocationsOf(spec).length, 0);
}
