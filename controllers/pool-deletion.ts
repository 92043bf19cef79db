/**
 * A deleted IPPool goes when its last block has gone (Calico, kube-controllers ippool/pool_controller.go). A finalizer
 * keeps it until then, so that its routes and its NAT stay as long as a pod has one of its addresses. Unlike in Calico a
 * disabled pool has the finalizer too: its pods would be cut off just the same.
 */
import type { Datastore } from '../datastore/datastore.ts';
import { type IPPool, ipPoolKind, isTerminating, POOL_FINALIZER } from '../datastore/schema/ip-pool.ts';
import type { IPAMBlock } from '../datastore/schema/ipam.ts';
import type { IpamSnapshot } from '../ipam/audit.ts';
import { isEmpty } from '../ipam/block.ts';
import { collect } from '../ipam/garbage.ts';
import { blocksKeeping } from '../ipam/pool-use.ts';

/** Agents hear of a deletion within this time, and take no address of the pool any more. */
const SETTLE_MS = 3_000;

export interface DeletionResult {
  /** Names of pools that have gone, or go with the finalizers of others. */
  readonly released: readonly string[];
  /** Whether a deleted pool still waits. */
  readonly isWaiting: boolean;
}

export class PoolDeletion {
  readonly #store: Datastore;
  /** When each deletion was seen first, by uid. Bounded by the pools that are being deleted. */
  #since = new Map<string, number>();

  constructor(store: Datastore) {
    this.#store = store;
  }

  /** One look. `now` in milliseconds; `failed` hears of what could not be written, which stops no other pool. */
  async look(
    { pools, blocks, unreadable = [] }: Pick<IpamSnapshot, 'pools' | 'blocks' | 'unreadable'>,
    now: number,
    failed: (pool: string, error: unknown) => void,
  ): Promise<DeletionResult> {
    const released: string[] = [];
    const since = new Map<string, number>();
    // What is in a block that cannot be read is not known.
    const isComplete = !unreadable.some(({ kind }) => kind === 'IPAMBlock');
    for (const pool of pools) {
      const { name, uid = name } = pool.metadata;
      if (isTerminating(pool)) since.set(uid, this.#since.get(uid) ?? now);
      try {
        if (!isTerminating(pool)) await this.#keep(pool);
        else if (now - since.get(uid)! >= SETTLE_MS && isComplete) {
          const left = await this.#withoutEmpty(blocksKeeping(pool, pools, blocks));
          if (left === 0 && (await this.#letGo(pool))) {
            released.push(name);
            since.delete(uid);
          }
        }
      } catch (error) {
        failed(name, error);
      }
    }
    this.#since = since;
    return { released, isWaiting: since.size > 0 };
  }

  async #keep({ metadata: { name, resourceVersion, finalizers } }: IPPool): Promise<void> {
    if (finalizers?.includes(POOL_FINALIZER)) return;
    // With the version: a list is replaced as a whole.
    const wanted = { resourceVersion, finalizers: [...(finalizers ?? []), POOL_FINALIZER] };
    await this.#store.patch(ipPoolKind, name, { metadata: wanted });
  }

  /** Gives empty blocks back, without the grace period that blocks of other pools have; how many are left. */
  async #withoutEmpty(blocks: readonly IPAMBlock[]): Promise<number> {
    const empty = blocks.filter((block) => isEmpty(block.spec));
    const nothing = { leaks: [], spareHandles: [], spareAffinities: [], orphans: [] };
    const gone = await collect(this.#store, { ...nothing, spareBlocks: empty });
    return blocks.length - gone.blocks.length;
  }

  /** Whether the finalizer was there to be removed. */
  async #letGo({ metadata: { name, resourceVersion, finalizers } }: IPPool): Promise<boolean> {
    if (!finalizers?.includes(POOL_FINALIZER)) return false;
    const left = finalizers.filter((one) => one !== POOL_FINALIZER);
    await this.#store.patch(ipPoolKind, name, { metadata: { resourceVersion, finalizers: left } });
    return true;
  }
}

/** What decides about a pool's finalizer: a change of its status alone is no reason to look. */
export function isSameForDeletion(one: IPPool | undefined, other: IPPool | undefined): boolean {
  const key = (pool: IPPool | undefined) =>
    pool && JSON.stringify([pool.spec, pool.metadata.deletionTimestamp, pool.metadata.finalizers]);
  return key(one) === key(other);
}
