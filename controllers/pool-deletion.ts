/**
 * Keeps a deleted IPPool until its last block is removed (Calico, kube-controllers ippool/pool_controller.go). A
 * finalizer keeps it, so that its routes and NAT stay while a pod has one of its addresses. Unlike in Calico a disabled
 * pool also has the finalizer, because its pods would lose their network too.
 */
import type { Datastore } from '../datastore/datastore.ts';
import { type IPPool, ipPoolKind, isTerminating, POOL_FINALIZER } from '../datastore/schema/ip-pool.ts';
import type { IPAMBlock } from '../datastore/schema/ipam.ts';
import type { IpamSnapshot } from '../ipam/audit.ts';
import { isEmpty } from '../ipam/block.ts';
import { collect } from '../ipam/garbage.ts';
import { blocksKeeping } from '../ipam/pool-use.ts';

/** Agents learn of a deletion within this time and assign no more addresses from the pool. */
const SETTLE_MS = 3_000;

export interface DeletionResult {
  /** Names of pools without our finalizer. Finalizers of other programs may still keep them. */
  readonly released: readonly string[];
  /** Whether a deleted pool still has our finalizer. */
  readonly isWaiting: boolean;
}

export class PoolDeletion {
  readonly #store: Datastore;
  /** When each deletion was first seen, by uid. Bounded by the number of terminating pools. */
  #since = new Map<string, number>();

  constructor(store: Datastore) {
    this.#store = store;
  }

  /**
   * Runs a pass: adds the finalizer to pools, and removes it from deleted pools without blocks. `now` is in
   * milliseconds. `failed` is called for each pool that could not be written; the others are not affected.
   */
  async look(
    { pools, blocks, unreadable = [] }: Pick<IpamSnapshot, 'pools' | 'blocks' | 'unreadable'>,
    now: number,
    failed: (pool: string, error: unknown) => void,
  ): Promise<DeletionResult> {
    const released: string[] = [];
    const since = new Map<string, number>();
    // An unreadable block may belong to any pool.
    const isComplete = !unreadable.some(({ kind }) => kind === 'IPAMBlock');
    for (const pool of pools) {
      const { name, uid = name } = pool.metadata;
      const finalizers = pool.metadata.finalizers ?? [];
      const isHeld = finalizers.includes(POOL_FINALIZER);
      try {
        if (!isTerminating(pool)) {
          if (!isHeld) await this.#hold(pool, finalizers);
        } else if (isHeld) {
          const seen = this.#since.get(uid) ?? now;
          since.set(uid, seen);
          if (now - seen < SETTLE_MS || !isComplete) continue;
          const left = await this.#withoutEmpty(blocksKeeping(pool, pools, blocks));
          if (left > 0) continue;
          await this.#letGo(pool, finalizers);
          released.push(name);
          since.delete(uid);
        }
      } catch (error) {
        failed(name, error);
      }
    }
    this.#since = since;
    return { released, isWaiting: since.size > 0 };
  }

  async #hold({ metadata: { name, resourceVersion } }: IPPool, finalizers: readonly string[]): Promise<void> {
    // With the version, because a merge patch replaces the whole list.
    const wanted = { resourceVersion, finalizers: [...finalizers, POOL_FINALIZER] };
    await this.#store.patch(ipPoolKind, name, { metadata: wanted });
  }

  /** Removes empty blocks, without the grace period of other pools' blocks. Returns how many are left. */
  async #withoutEmpty(blocks: readonly IPAMBlock[]): Promise<number> {
    const empty = blocks.filter((block) => isEmpty(block.spec));
    const nothing = { leaks: [], spareHandles: [], spareAffinities: [], orphans: [] };
    const gone = await collect(this.#store, { ...nothing, spareBlocks: empty });
    return blocks.length - gone.blocks.length;
  }

  async #letGo(
    { metadata: { name, resourceVersion } }: IPPool,
    finalizers: readonly string[],
  ): Promise<void> {
    const left = finalizers.filter((one) => one !== POOL_FINALIZER);
    await this.#store.patch(ipPoolKind, name, { metadata: { resourceVersion, finalizers: left } });
  }
}

/** Whether two versions are the same for the finalizer. A change of only the status needs no pass. */
export function isSameForDeletion(one: IPPool | undefined, other: IPPool | undefined): boolean {
  const key = (pool: IPPool | undefined) =>
    pool && JSON.stringify([pool.spec, pool.metadata.deletionTimestamp, pool.metadata.finalizers]);
  return key(one) === key(other);
}
