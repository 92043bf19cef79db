/**
 * The allocator of one node. It runs the pure decisions of block.ts and candidates.ts in compare-and-swap loops over
 * the datastore. An address is assigned only after the datastore has acknowledged the write of its block.
 */
import type { Datastore } from '../datastore/datastore.ts';
import { type BlockAffinity, type IPAMBlock, ipamBlockKind, nameOfCidr } from '../datastore/schema/ipam.ts';
import { type Family, familyOf, mustCidr, overlaps } from '../lib/cidr.ts';
import { Mutex } from '../lib/mutex.ts';
import type { Clock } from '../lib/time.ts';
import { type AddressSource, type AssignRequest, IpamError } from './address-source.ts';
import { claimBlock } from './affinity.ts';
import { damagedAddresses, unavailableIn } from './availability.ts';
import {
  addressesOf,
  affinityOf,
  assignAddress,
  assignNext,
  type BlockSpec,
  hasFree,
  isEmpty,
  release,
} from './block.ts';
import { BlockClaims, isInPools } from './block-claims.ts';
import { damageOf, hasOwnName, unusableBlocks } from './block-faults.ts';
import { assertBlockLimit } from './block-limit.ts';
import { BlockWriter } from './block-writer.ts';
import { choosePools } from './candidates.ts';
import { addToHandle, getHandle, removeFromHandle } from './handle.ts';
import { KnownBlocks } from './known-blocks.ts';
import { type Asked, assertAffine, checkRequested, takenFrom } from './requested-address.ts';
import type { IpamView } from './view.ts';

/** The block to assign an address from, and the address if a certain one is requested. */
interface Planned {
  readonly family: Family;
  readonly cidr: string;
  readonly address?: string;
  /** Whether the block was claimed for this request. */
  readonly isClaimed?: boolean;
}

const MAX_ATTEMPTS = 100;
export class Ipam implements AddressSource {
  readonly #node: string;
  readonly #store: Datastore;
  readonly #view: IpamView;
  readonly #clock: Clock;
  readonly #known: KnownBlocks;
  readonly #writer: BlockWriter;
  readonly #claims: BlockClaims;
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
    this.#claims = new BlockClaims(options, { ...modules, known: this.#known });
  }

  async assign(request: AssignRequest): Promise<string[]> {
    const plan: Planned[] = [];
    try {
      return await this.#assign(request, plan);
    } catch (error) {
      // Release the blocks that were claimed for a refused request.
      for (const { cidr, isClaimed } of plan)
        if (isClaimed) await this.#planning.run(() => this.#claims.giveBack(cidr));
      throw error;
    }
  }

  /** Assigns addresses. Extends `plan` with each planned address. */
  async #assign(request: AssignRequest, plan: Planned[]): Promise<string[]> {
    // Check everything before claiming anything.
    const asked = (request.addresses ?? []).map((text) => checkRequested(text, request, this.#requestable()));
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

  async releaseAddresses(handleId: string): Promise<void> {
    await Promise.all(this.#holding(handleId).map((cidr) => this.#releaseOf(handleId, cidr)));
  }

  async releaseHandle(handleId: string): Promise<string[]> {
    const handle = await getHandle(this.#store, handleId);
    const cidrs = new Set([...Object.keys(handle?.spec.block ?? {}), ...this.#holding(handleId)]);
    const freed = await Promise.all([...cidrs].map((cidr) => this.#releaseOf(handleId, cidr)));
    if (handle) await removeFromHandle(this.#store, handleId, [...cidrs]);
    for (const cidr of cidrs) await this.#planning.run(() => this.#claims.giveBackWhenSpare(cidr));
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
    return this.#planning.run(() => this.#claims.confirm(cidr));
  }

  #releaseOf(handleId: string, cidr: string): Promise<string[]> {
    return this.releaseFrom(cidr, (allocation) => allocation.handleId === handleId);
  }

  /** Returns the known blocks that hold addresses of a handle. */
  #holding(handleId: string): string[] {
    const holding = this.#known.all().filter(({ spec }) => addressesOf(spec, handleId).length > 0);
    return holding.map(({ spec }) => spec.cidr);
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
    const claimed = await this.#claims.claim(choice.pools, family);
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

  /** Checks that this node may use the block of a requested address. Claims the block if it does not exist. */
  async #planAddress({ family, address, cidr }: Asked): Promise<Planned> {
    const planned = { family, address, cidr };
    const all = this.#known.all();
    const known = all.find(({ spec }) => spec.cidr === cidr);
    if (known) assertAffine(known.spec, address, this.#affine());
    const unusable = known && unusableBlocks(all).get(known);
    if (unusable) throw takenFrom(address, cidr, unusable);
    if (damagedAddresses(all).has(address))
      throw takenFrom(address, cidr, 'a damaged overlapping block has assigned the address');
    if (known) return planned;
    const other = all.find(
      ({ spec }) => damageOf(spec).length === 0 && overlaps(mustCidr(spec.cidr), mustCidr(cidr)),
    );
    if (other) throw takenFrom(address, cidr, `it would overlap block ${other.spec.cidr}`);
    assertBlockLimit(family, this.#node, this.#known.all(), this.#view.configuration());
    const block = await claimBlock(this.#store, this.#node, cidr, this.#clock.now());
    if (!block) {
      const present = await this.#store.get(ipamBlockKind, nameOfCidr(cidr));
      if (present && !hasOwnName(present))
        throw takenFrom(address, cidr, `its object has the network ${present.spec.cidr}`);
      if (present) assertAffine(present.spec, address, this.#affine());
      return planned;
    }
    this.#known.remember(block);
    return { ...planned, isClaimed: isEmpty(block.spec) };
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
          assertAffine(spec, planned.address, this.#affine());
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
        if (planned.address !== undefined || !(await this.#claims.isUnreadable(cidr, error))) throw error;
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

  /** False for the version that failed. A later version is tried again. */
  #isReadable({ spec: { cidr }, metadata: { resourceVersion } }: IPAMBlock): boolean {
    if (!this.#unreadable.has(cidr)) return true;
    if (this.#unreadable.get(cidr) === resourceVersion) return false;
    this.#unreadable.delete(cidr);
    return true;
  }

  /** Returns a test for addresses that must not be assigned although they are free in their block. */
  #unavailable(): (address: string) => boolean {
    return unavailableIn(this.#known.all(), this.#view.reservations());
  }

  #requestable() {
    return { pools: this.#view.pools(), reservations: this.#view.reservations() };
  }

  #affine() {
    return { node: this.#node, isStrict: this.#view.configuration()?.strictAffinity };
  }
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
