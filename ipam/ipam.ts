/**
 * The allocator of one node. It runs the pure decisions of block.ts and candidates.ts in compare-and-swap loops over
 * the datastore. An address is assigned only after the datastore has acknowledged the write of its block.
 */
import type { Datastore } from '../datastore/datastore.ts';
import { DatastoreError } from '../datastore/errors.ts';
import { blockSizeOf, type IPPool, isTerminating } from '../datastore/schema/ip-pool.ts';
import {
  type BlockAffinity,
  blockAffinityKind,
  type IPAMBlock,
  type IPAMConfiguration,
  type IPReservation,
  ipamBlockKind,
  nameOfCidr,
} from '../datastore/schema/ipam.ts';
import { getTolerant } from '../datastore/tolerant.ts';
import {
  type Cidr,
  contains,
  type Family,
  familyOf,
  formatAddress,
  formatCidr,
  mustCidr,
  networkOf,
  overlaps,
  parseAddress,
  parseCidr,
} from '../lib/cidr.ts';
import type { Clock } from '../lib/clock.ts';
import { Mutex } from '../lib/mutex.ts';
import { printable } from '../lib/plain-text.ts';
import { type AddressSource, type AssignRequest, IpamError } from './address-source.ts';
import { affinityName, claimBlock, releaseBlock } from './affinity.ts';
import {
  addressesOf,
  affinityOf,
  allocationsOf,
  assignAddress,
  assignNext,
  type BlockSpec,
  hasFree,
  isEmpty,
  release,
} from './block.ts';
import { damageOf, hasOwnName, unusableBlocks } from './block-faults.ts';
import { BlockWriter } from './block-writer.ts';
import { choosePools, freeBlocks } from './candidates.ts';
import { addToHandle, getHandle, removeFromHandle } from './handle.ts';
import { KnownBlocks } from './known-blocks.ts';

/** This node's view of the datastore. It may lag, because every write is checked. */
export interface IpamView {
  pools(): readonly IPPool[];
  /** Blocks that are named after their network (block-faults.ts). */
  blocks(): readonly IPAMBlock[];
  configuration(): IPAMConfiguration['spec'] | undefined;
  reservations(): readonly IPReservation[];
  nodeLabels(): Readonly<Record<string, string>>;
}

/** The block to assign an address from, and the address if a certain one is requested. */
interface Planned {
  readonly family: Family;
  readonly cidr: string;
  readonly address?: string;
  /** Whether the block was claimed for this request. */
  readonly isClaimed?: boolean;
}

/** A requested address, and its block. */
interface Asked {
  readonly family: Family;
  readonly address: string;
  readonly cidr: string;
}

/** Blocks per node when maxBlocksPerHost is 0 (Calico). */
const DEFAULT_BLOCK_LIMIT = 20;
const MAX_ATTEMPTS = 100;
const RECLAIM_AGE_MS = 60_000;

export class Ipam implements AddressSource {
  readonly #node: string;
  readonly #store: Datastore;
  readonly #view: IpamView;
  readonly #clock: Clock;
  readonly #known: KnownBlocks;
  readonly #writer: BlockWriter;
  /** Blocks that became unreadable, with the last readable version. Bounded by this node's blocks. */
  readonly #unreadable = new Map<string, string | undefined>();
  /**
   * Serialises planning: if several requests find no block with room, or leave one empty, only one claims or releases
   * it.
   */
  readonly #planning = new Mutex();

  constructor(
    options: { readonly node: string },
    modules: { store: Datastore; view: IpamView; clock: Clock },
  ) {
    this.#node = options.node;
    this.#store = modules.store;
    this.#view = modules.view;
    this.#clock = modules.clock;
    this.#known = new KnownBlocks(() => modules.view.blocks());
    this.#writer = new BlockWriter(modules.store, this.#known);
  }

  async assign(request: AssignRequest): Promise<string[]> {
    const plan: Planned[] = [];
    try {
      return await this.#assign(request, plan);
    } catch (error) {
      // Release the blocks that were claimed for a refused request.
      for (const { cidr, isClaimed } of plan)
        if (isClaimed) await this.#planning.run(() => this.#giveBack(cidr));
      throw error;
    }
  }

  /** Assigns addresses. Extends `plan` with each planned address. */
  async #assign(request: AssignRequest, plan: Planned[]): Promise<string[]> {
    // Check everything before claiming anything.
    const asked = (request.addresses ?? []).map((text) => this.#checkAddress(text, request));
    for (const one of asked) plan.push(await this.#planning.run(() => this.#planAddress(one)));
    if (!request.addresses)
      for (const family of request.families) plan.push(await this.#plan(request, family));
    const held = this.held(request.handleId);
    if (held.length > 0) {
      if (isAnswerTo(plan, held)) return held;
      await this.releaseHandle(request.handleId);
    }
    // In parallel, for the latency of an ADD. A crash in between leaves a handle without addresses, or addresses
    // without a handle. Release and garbage collection handle both.
    const results = await Promise.allSettled([
      addToHandle(this.#store, request.handleId, Object.fromEntries(plan.map(({ cidr }) => [cidr, 1]))),
      ...plan.map((item) => this.#take(request, item, plan)),
    ]);
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) {
      await this.releaseHandle(request.handleId);
      throw failed.reason;
    }
    return results.slice(1).map((result) => (result as PromiseFulfilledResult<string>).value);
  }

  async releaseHandle(handleId: string): Promise<string[]> {
    const handle = await getHandle(this.#store, handleId);
    const holding = this.#known.all().filter(({ spec }) => addressesOf(spec, handleId).length > 0);
    const cidrs = new Set([
      ...Object.keys(handle?.spec.block ?? {}),
      ...holding.map(({ spec }) => spec.cidr),
    ]);
    const freed = await Promise.all(
      [...cidrs].map((cidr) => this.releaseFrom(cidr, (allocation) => allocation.handleId === handleId)),
    );
    if (handle) await removeFromHandle(this.#store, handleId, [...cidrs]);
    for (const cidr of cidrs) await this.#planning.run(() => this.#giveBackWhenSpare(cidr));
    return freed.flat();
  }

  /**
   * Returns blocks of this node without a confirmed affinity, because a claim or a release was interrupted. They are
   * neither advertised nor blackholed.
   */
  unconfirmed(affinities: readonly BlockAffinity[]): string[] {
    const confirmed = new Set(
      affinities
        .filter(({ spec }) => spec.node === this.#node && ['confirmed', ''].includes(spec.state))
        .map(({ spec }) => spec.cidr),
    );
    return this.#known
      .all()
      .filter(({ spec }) => spec.affinity === affinityOf(this.#node) && !confirmed.has(spec.cidr))
      .map(({ spec }) => spec.cidr);
  }

  /**
   * Confirms the affinity of a block of this node; false when the block no longer belongs to it. Waits for claims and
   * releases of this process, which confirm or remove the affinity themselves.
   */
  confirm(cidr: string): Promise<boolean> {
    return this.#planning.run(async () => {
      const block = await this.#store.get(ipamBlockKind, nameOfCidr(cidr));
      if (block?.spec.affinity !== affinityOf(this.#node)) return false;
      return (await claimBlock(this.#store, this.#node, cidr, this.#clock.now())) !== undefined;
    });
  }

  /** Releases allocations of one block and returns the addresses. */
  async releaseFrom(cidr: string, isReleased: Parameters<typeof release>[1]): Promise<string[]> {
    let freed: readonly string[] = [];
    const isApplied = await this.#writer.change(cidr, (spec) => {
      const result = release(spec, isReleased);
      freed = result.addresses;
      return result.block;
    });
    return isApplied ? [...freed] : [];
  }

  held(handleId: string): string[] {
    return this.#known.all().flatMap(({ spec }) => addressesOf(spec, handleId));
  }

  /** Plans the next address of a family. Claims a block when the node has none with room. */
  #plan(request: AssignRequest, family: Family): Promise<Planned> {
    return this.#planning.run(() => this.#planNow(request, family));
  }

  async #planNow(request: AssignRequest, family: Family): Promise<Planned> {
    const choice = choosePools(this.#view.pools(), {
      family,
      use: request.use ?? 'Workload',
      nodeLabels: this.#view.nodeLabels(),
      namespaceLabels: request.namespaceLabels,
      named: request.pools?.[family],
    });
    if (!choice.ok) throw new IpamError('NO_POOL', choice.reason);
    const known = this.#known.all();
    const unusable = unusableBlocks(known);
    const isUnavailable = this.#unavailable();
    const inPools = known.filter(
      (block) => !unusable.has(block) && this.#isReadable(block) && isInPools(choice.pools, block.spec.cidr),
    );
    const own = inPools.find(
      ({ spec }) => spec.affinity === affinityOf(this.#node) && hasFree(spec, isUnavailable),
    );
    if (own) return { family, cidr: own.spec.cidr };
    const claimed = await this.#claim(choice.pools, family);
    if (claimed) return { family, cidr: claimed, isClaimed: true };
    if (!this.#view.configuration()?.strictAffinity) {
      const borrowed = inPools.find(({ spec }) => hasFree(spec, isUnavailable));
      if (borrowed) return { family, cidr: borrowed.spec.cidr };
    }
    throw new IpamError(
      'EXHAUSTED',
      `no IPs available in pools: [${choice.pools.map(({ spec }) => spec.cidr).join(' ')}]. ` +
        'Add an IPPool or delete pods; `calictl get ipamblocks` shows the holders',
    );
  }

  /** Checks a requested address against the pools and reservations. Throws IpamError. */
  #checkAddress(text: string, { use = 'Workload' }: AssignRequest): Asked {
    const parsed = parseAddress(text);
    const pool = parsed && this.#view.pools().find(({ spec }) => contains(mustCidr(spec.cidr), parsed));
    if (!parsed || !pool || pool.spec.disabled || isTerminating(pool)) {
      throw new IpamError(
        'ADDRESS_OUTSIDE',
        pool && isTerminating(pool)
          ? `${printable(text, 100)} is in IPPool ${pool.metadata.name}, which is being deleted: request an address from another pool`
          : `${printable(text, 100)} is in no enabled IPPool: request an address from an enabled one`,
      );
    }
    const address = formatAddress(parsed);
    if (!pool.spec.allowedUses.includes(use)) {
      throw new IpamError(
        'ADDRESS_OUTSIDE',
        `${address} is in IPPool ${pool.metadata.name}, which does not list ${use} in allowedUses: request an address from another pool`,
      );
    }
    if (this.#isReserved(address)) {
      throw new IpamError('ADDRESS_OUTSIDE', `${address} is reserved by an IPReservation: request another`);
    }
    const cidr = formatCidr(networkOf({ ...parsed, length: blockSizeOf(pool) }));
    return { family: parsed.family, address, cidr };
  }

  /** Checks that this node may use the block of a requested address. Claims the block if it does not exist. */
  async #planAddress({ family, address, cidr }: Asked): Promise<Planned> {
    const planned = { family, address, cidr };
    const all = this.#known.all();
    const known = all.find(({ spec }) => spec.cidr === cidr);
    if (known) this.#assertAffine(known.spec, address);
    const unusable = known && unusableBlocks(all).get(known);
    if (unusable) throw takenFrom(address, cidr, unusable);
    if (this.#damagedAddresses().has(address))
      throw takenFrom(address, cidr, 'a damaged overlapping block has assigned the address');
    if (known) return planned;
    const other = all.find(
      ({ spec }) => damageOf(spec).length === 0 && overlaps(mustCidr(spec.cidr), mustCidr(cidr)),
    );
    if (other) throw takenFrom(address, cidr, `it would overlap block ${other.spec.cidr}`);
    this.#assertBlockLimit(family);
    const block = await claimBlock(this.#store, this.#node, cidr, this.#clock.now());
    if (!block) {
      const present = await this.#store.get(ipamBlockKind, nameOfCidr(cidr));
      if (present && !hasOwnName(present))
        throw takenFrom(address, cidr, `its object has the network ${present.spec.cidr}`);
      if (present) this.#assertAffine(present.spec, address);
      return planned;
    }
    this.#known.remember(block);
    return { ...planned, isClaimed: isEmpty(block.spec) };
  }

  #assertAffine({ cidr, affinity }: BlockSpec, address: string): void {
    if (!this.#view.configuration()?.strictAffinity || affinity === affinityOf(this.#node)) return;
    throw new IpamError(
      'ADDRESS_TAKEN',
      `${address} is in block ${cidr} of ${affinity?.replace(/^host:/, 'node ') ?? 'no node'}, and strictAffinity is on: ` +
        'request another, or run the pod there',
    );
  }

  /** Assigns an address from the planned block. If that is full by now, it plans another block and extends `plan`. */
  async #take(request: AssignRequest, planned: Planned, plan: Planned[]): Promise<string> {
    let { cidr } = planned;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      let taken: string | undefined;
      const apply = (spec: BlockSpec) => {
        taken = undefined;
        const [damage] = damageOf(spec);
        if (damage && planned.address !== undefined) throw takenFrom(planned.address, cidr, damage);
        if (damage) return spec;
        if (planned.address !== undefined) {
          this.#assertAffine(spec, planned.address);
          const result = assignAddress(spec, planned.address, request);
          if (!result.ok) {
            throw new IpamError(
              'ADDRESS_TAKEN',
              `${planned.address} is taken by ${result.holder}: request another, or release it`,
            );
          }
          taken = planned.address;
          return result.block;
        }
        // The block may have a new owner since it was planned.
        if (this.#view.configuration()?.strictAffinity && spec.affinity !== affinityOf(this.#node))
          return spec;
        const result = assignNext(spec, request, this.#unavailable());
        taken = result?.address;
        return result?.block ?? spec;
      };
      const isApplied = await this.#writer.change(cidr, apply).catch(async (error: unknown) => {
        if (planned.address !== undefined || !(await this.#isUnreadable(cidr, error))) throw error;
        // The last readable version stays in use, but nothing can be written on top of it.
        this.#unreadable.set(cidr, this.#known.get(cidr)?.metadata.resourceVersion);
        return false;
      });
      if (isApplied && taken !== undefined) return taken;
      const next =
        planned.address === undefined
          ? await this.#plan(request, planned.family)
          : await this.#planning.run(() => this.#planAddress({ ...planned, address: planned.address! }));
      plan.push(next);
      if (next.cidr !== cidr) await addToHandle(this.#store, request.handleId, { [next.cidr]: 1 });
      cidr = next.cidr;
    }
    throw new IpamError(
      'EXHAUSTED',
      `no address after ${MAX_ATTEMPTS} attempts: other nodes allocated every candidate first`,
    );
  }

  async #claim(pools: readonly IPPool[], family: Family): Promise<string | undefined> {
    if (this.#view.configuration()?.autoAllocateBlocks === false) return undefined;
    this.#assertBlockLimit(family);
    const refused = new Set<string>();
    const reserved = this.#reservations();
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
      if (await this.#isUnreadable(cidr, error)) return undefined;
      throw error;
    }
  }

  /** Whether an error comes from an object that exists but cannot be read. */
  async #isUnreadable(cidr: string, error: unknown): Promise<boolean> {
    if (!(error instanceof DatastoreError) || error.code !== 'INVALID') return false;
    const found = await Promise.all([
      getTolerant(this.#store, ipamBlockKind, nameOfCidr(cidr)),
      getTolerant(this.#store, blockAffinityKind, affinityName(this.#node, cidr)),
    ]);
    return found.some(({ unreadable }) => unreadable !== undefined);
  }

  /** Throws IpamError BLOCK_LIMIT, with Calico's message, when this node may not claim another block. */
  #assertBlockLimit(family: Family): void {
    const configuration = this.#view.configuration();
    const limit = configuration?.maxBlocksPerHost || DEFAULT_BLOCK_LIMIT;
    const mine = this.#known
      .all()
      .filter(
        ({ spec }) => spec.affinity === affinityOf(this.#node) && parseCidr(spec.cidr)?.family === family,
      );
    if (mine.length < limit && configuration?.autoAllocateBlocks !== false) return;
    throw new IpamError(
      'BLOCK_LIMIT',
      `cannot allocate new block due to per host block limit: node ${this.#node} has ${mine.length} of ${limit} IPv${family} blocks. ` +
        'Raise maxBlocksPerHost in IPAMConfiguration default',
    );
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

  /** Releases an empty block unless it is the node's last one of its family. */
  async #giveBackWhenSpare(cidr: string): Promise<void> {
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
  async #giveBack(cidr: string): Promise<void> {
    const block = this.#known.get(cidr);
    if (
      block?.spec.affinity === affinityOf(this.#node) &&
      (await releaseBlock(this.#store, this.#node, block))
    )
      this.#known.forget(block);
  }

  /** False for the version that failed. A later version is tried again. */
  #isReadable({ spec: { cidr }, metadata: { resourceVersion } }: IPAMBlock): boolean {
    if (!this.#unreadable.has(cidr)) return true;
    if (this.#unreadable.get(cidr) === resourceVersion) return false;
    this.#unreadable.delete(cidr);
    return true;
  }

  /** Returns a test for addresses that must not be assigned although they are free in their block. */
  #unavailable(): (address: string) => boolean {
    const damaged = this.#damagedAddresses();
    return (address) => damaged.has(address) || this.#isReserved(address);
  }

  /** Returns allocations of damaged blocks. Blocks that overlap those remain usable, except for these addresses. */
  #damagedAddresses(): ReadonlySet<string> {
    const damaged = this.#known.all().filter(({ spec }) => damageOf(spec).length > 0);
    return new Set(damaged.flatMap(({ spec }) => allocationsOf(spec).map(({ address }) => address)));
  }

  #reservations(): Cidr[] {
    return this.#view
      .reservations()
      .flatMap(({ spec }) => spec.reservedCIDRs)
      .flatMap((text) => parseCidr(text) ?? []);
  }

  #isReserved(address: string): boolean {
    const reserved = this.#reservations();
    if (reserved.length === 0) return false;
    const parsed = parseAddress(address)!;
    return reserved.some((range) => contains(range, parsed));
  }
}

/** Returns the error for a requested address whose block assigns none. */
function takenFrom(address: string, cidr: string, reason: string): IpamError {
  return new IpamError(
    'ADDRESS_TAKEN',
    `${address} is in block ${cidr}, which assigns no addresses (${reason}): request another, or correct the block`,
  );
}

/** Whether the addresses that the handle already holds satisfy the request. */
function isAnswerTo(plan: readonly Planned[], held: readonly string[]): boolean {
  return (
    plan.length === held.length &&
    plan.every(({ family, address }) =>
      held.some((candidate) => (address ? candidate === address : familyOf(candidate) === family)),
    )
  );
}

function isInPools(pools: readonly IPPool[], cidr: string): boolean {
  return pools.some(({ spec }) => contains(mustCidr(spec.cidr), mustCidr(cidr)));
}
