/** Claims and releases the blocks of one node. The caller serialises the calls. */
import type { Datastore } from '../datastore/datastore.ts';
import { DatastoreError } from '../datastore/errors.ts';
import { blockSizeOf, type IPPool, isTerminating } from '../datastore/schema/ip-pool.ts';
import { blockAffinityKind, type IPAMBlock, ipamBlockKind, nameOfCidr } from '../datastore/schema/ipam.ts';
import { getTolerant } from '../datastore/tolerant.ts';
import { contains, type Family, mustCidr, overlaps } from '../lib/cidr.ts';
import type { Clock } from '../lib/time.ts';
import { affinityName, claimBlock, releaseBlock } from './affinity.ts';
import { reservedNetworks } from './availability.ts';
import { affinityOf, isEmpty } from './block.ts';
import { damageOf } from './block-faults.ts';
import { assertBlockLimit } from './block-limit.ts';
import { freeBlocks } from './candidates.ts';
import type { KnownBlocks } from './known-blocks.ts';
import type { IpamView } from './view.ts';

const RECLAIM_AGE_MS = 60_000;

export class BlockClaims {
  readonly #node: string;
  readonly #store: Datastore;
  readonly #view: IpamView;
  readonly #clock: Clock;
  readonly #known: KnownBlocks;

  constructor(
    options: { readonly node: string },
    modules: { store: Datastore; view: IpamView; clock: Clock; known: KnownBlocks },
  ) {
    this.#node = options.node;
    this.#store = modules.store;
    this.#view = modules.view;
    this.#clock = modules.clock;
    this.#known = modules.known;
  }

  /**
   * Claims a block of the pools for this node and returns its network; undefined when there is none. Throws IpamError
   * BLOCK_LIMIT.
   */
  async claim(pools: readonly IPPool[], family: Family): Promise<string | undefined> {
    if (this.#view.configuration()?.autoAllocateBlocks === false) return undefined;
    assertBlockLimit(family, this.#node, this.#known.all(), this.#view.configuration());
    const refused = new Set<string>();
    const reserved = reservedNetworks(this.#view.reservations());
    for (const pool of pools) {
      // Exclude candidates that overlap blocks of another size than the pool's: both could assign the same addresses.
      const others = this.#known
        .all()
        .filter(({ spec }) => damageOf(spec).length === 0)
        .map(({ spec }) => mustCidr(spec.cidr))
        .filter((other) => other.length !== blockSizeOf(pool) && overlaps(other, mustCidr(pool.spec.cidr)));
      for (const cidr of freeBlocks(
        pool,
        this.#node,
        (candidate) =>
          refused.has(candidate) ||
          this.#known.get(candidate) !== undefined ||
          others.some((other) => overlaps(other, mustCidr(candidate))),
        reserved,
      )) {
        const block = await this.#tryClaim(cidr);
        if (block) {
          this.#known.remember(block);
          return cidr;
        }
        refused.add(cidr);
      }
    }
    return this.#reclaim(pools);
  }

  /** Claims a block. Undefined when another node owns it, or its block or affinity is unreadable: try the next one. */
  async #tryClaim(cidr: string): Promise<IPAMBlock | undefined> {
    try {
      return await claimBlock(this.#store, this.#node, cidr, this.#clock.now());
    } catch (error) {
      if (await this.isUnreadable(cidr, error)) return undefined;
      throw error;
    }
  }

  /** Whether an error comes from an object that exists but cannot be read. */
  async isUnreadable(cidr: string, error: unknown): Promise<boolean> {
    if (!(error instanceof DatastoreError) || error.code !== 'INVALID') return false;
    const found = await Promise.all([
      getTolerant(this.#store, ipamBlockKind, nameOfCidr(cidr)),
      getTolerant(this.#store, blockAffinityKind, affinityName(this.#node, cidr)),
    ]);
    return found.some(({ unreadable }) => unreadable !== undefined);
  }

  /** When all blocks are claimed: claims another node's empty block that is older than RECLAIM_AGE_MS. */
  async #reclaim(pools: readonly IPPool[]): Promise<string | undefined> {
    for (const block of this.#known.all()) {
      const { spec, metadata } = block;
      const owner = spec.affinity?.startsWith('host:') ? spec.affinity.slice('host:'.length) : undefined;
      const age = this.#clock.now() - Date.parse(metadata.creationTimestamp ?? '');
      if (
        !owner ||
        owner === this.#node ||
        !isEmpty(spec) ||
        !(age > RECLAIM_AGE_MS) ||
        !isInPools(pools, spec.cidr)
      )
        continue;
      if (!(await releaseBlock(this.#store, owner, block))) continue;
      this.#known.forget(block);
      const claimed = await claimBlock(this.#store, this.#node, spec.cidr, this.#clock.now());
      if (!claimed) continue;
      this.#known.remember(claimed);
      return spec.cidr;
    }
    return undefined;
  }

  /** Confirms the affinity of a block of this node; false when the block no longer belongs to it. */
  async confirm(cidr: string): Promise<boolean> {
    const block = await this.#store.get(ipamBlockKind, nameOfCidr(cidr));
    if (block?.spec.affinity !== affinityOf(this.#node)) return false;
    return (await claimBlock(this.#store, this.#node, cidr, this.#clock.now())) !== undefined;
  }

  /** Releases an empty block unless it is the node's last one of its family. */
  async giveBackWhenSpare(cidr: string): Promise<void> {
    const block = this.#known.get(cidr);
    if (!block || !isEmpty(block.spec)) return;
    const { family } = mustCidr(cidr);
    if (block.spec.affinity === affinityOf(this.#node)) {
      const mine = this.#known
        .all()
        .filter(
          ({ spec }) => spec.affinity === affinityOf(this.#node) && mustCidr(spec.cidr).family === family,
        );
      // Its pool is gone, or waits for its blocks to be released.
      const isUnwanted = !isInPools(
        this.#view.pools().filter((pool) => !isTerminating(pool)),
        cidr,
      );
      if ((mine.length > 1 || isUnwanted) && (await releaseBlock(this.#store, this.#node, block)))
        this.#known.forget(block);
    }
  }

  /** Releases a block that was claimed for a failed request. */
  async giveBack(cidr: string): Promise<void> {
    const block = this.#known.get(cidr);
    if (
      block?.spec.affinity === affinityOf(this.#node) &&
      (await releaseBlock(this.#store, this.#node, block))
    )
      this.#known.forget(block);
  }
}

/** Whether a block lies in one of the pools. */
export function isInPools(pools: readonly IPPool[], cidr: string): boolean {
  return pools.some(({ spec }) => contains(mustCidr(spec.cidr), mustCidr(cidr)));
}
