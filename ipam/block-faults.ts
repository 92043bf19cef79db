/**
 * Finds faults in blocks that other programs or people wrote. A block whose fault could assign an address twice assigns
 * none; existing allocations stay. Pure.
 */
import type { ObjectProblem } from '../datastore/object-problem.ts';
import { type IPAMBlock, ipamBlockKind, nameOfCidr } from '../datastore/schema/ipam.ts';
import { formatCidr, mustCidr, networkOf, sizeOf } from '../lib/cidr.ts';

type BlockSpec = IPAMBlock['spec'];

/** Faults that are listed per block. */
const MAX_FAULTS = 5;

/** Whether a block is named after its network. Look-ups by network use this name. */
export function hasOwnName({ metadata, spec }: IPAMBlock): boolean {
  return metadata.name === nameOfCidr(spec.cidr);
}

/** Returns the faults that could assign an address twice, in at most six sentences; none if the block is usable. */
export function damageOf(block: BlockSpec): readonly string[] {
  let damage = known.get(block);
  if (!damage) {
    const all = [...findDamage(block)];
    const more = `and ${all.length - MAX_FAULTS} more`;
    damage = all.length > MAX_FAULTS ? [...all.slice(0, MAX_FAULTS), more] : all;
    known.set(block, damage);
  }
  return damage;
}

/** Cache by spec. A spec is immutable, so its faults do not change. */
const known = new WeakMap<BlockSpec, readonly string[]>();

function* findDamage({ cidr, allocations, unallocated, attributes }: BlockSpec): Generator<string> {
  const size = allocations.length;
  const wanted = sizeOf(mustCidr(cidr));
  if (BigInt(size) !== wanted) yield `it has ${size} allocations for ${wanted} addresses`;
  for (const index of new Set(allocations))
    if (index !== null && !attributes[index])
      yield `an address refers to attribute ${index}, which does not exist`;
  for (const ordinal of new Set(unallocated))
    if (ordinal < 0 || ordinal >= size) yield `free ordinal ${ordinal} is outside the block`;
    else if (allocations[ordinal] !== null) yield `ordinal ${ordinal} is both free and allocated`;
}

/** Returns all faults of a block, including harmless ones that no allocator would write (Calico reference 6.3). */
export function faultsOf(block: BlockSpec): string[] {
  const { allocations, unallocated, attributes } = block;
  const faults = [...damageOf(block)];
  const used = new Set(allocations);
  attributes.forEach((_, index) => {
    if (!used.has(index)) faults.push(`no address refers to attribute ${index}`);
  });
  const free = new Set<number>();
  for (const ordinal of unallocated) {
    if (free.has(ordinal)) faults.push(`ordinal ${ordinal} is listed as free twice`);
    free.add(ordinal);
  }
  allocations.forEach((index, ordinal) => {
    if (index === null && !free.has(ordinal)) faults.push(`ordinal ${ordinal} is neither free nor allocated`);
  });
  return faults;
}

/** Returns blocks that overlap another one, with that one. Both could assign the same addresses. */
export function overlapsOf(blocks: readonly IPAMBlock[]): ReadonlyMap<IPAMBlock, IPAMBlock> {
  const found = new Map<IPAMBlock, IPAMBlock>();
  const lengths = new Set(blocks.map(({ spec }) => lengthOf(spec)));
  // The usual case, at no cost. With two families, there are two lengths: 26 and 122.
  if (lengths.size < 2) return found;
  const byNetwork = new Map(blocks.map((block) => [block.spec.cidr, block]));
  for (const block of blocks) {
    const network = mustCidr(block.spec.cidr);
    for (const length of lengths) {
      if (length >= network.length) continue;
      const wider = byNetwork.get(formatCidr(networkOf({ ...network, length })));
      if (!wider) continue;
      found.set(block, wider);
      found.set(wider, block);
    }
  }
  return found;
}

function lengthOf({ cidr }: BlockSpec): number {
  return Number(cidr.slice(cidr.indexOf('/') + 1));
}

/** Returns blocks that assign no addresses, with the reason. */
export function unusableBlocks(blocks: readonly IPAMBlock[]): ReadonlyMap<IPAMBlock, string> {
  const found = new Map<IPAMBlock, string>();
  const sound: IPAMBlock[] = [];
  for (const block of blocks) {
    const damage = damageOf(block.spec);
    if (damage.length > 0) found.set(block, damage.join(', '));
    else sound.push(block);
  }
  for (const [block, other] of overlapsOf(sound)) found.set(block, `it overlaps block ${other.spec.cidr}`);
  return found;
}

/** Returns problems of unusable blocks, and of blocks that are named after another network. */
export function blockProblems(blocks: readonly IPAMBlock[]): { block: IPAMBlock; problem: ObjectProblem }[] {
  const problemOf = (block: IPAMBlock, reason: string, field?: string) => ({
    block,
    problem: { kind: ipamBlockKind.kind, name: block.metadata.name, ...(field ? { field } : {}), reason },
  });
  const unusable = unusableBlocks(blocks.filter(hasOwnName));
  return [
    ...blocks
      .filter((block) => !hasOwnName(block))
      .map((block) =>
        problemOf(
          block,
          `${block.spec.cidr} is the network of ${nameOfCidr(block.spec.cidr)}; the object is ignored: delete it`,
          'spec.cidr',
        ),
      ),
    ...[...unusable].map(([block, reason]) =>
      problemOf(block, `${reason}; it assigns no more addresses: delete it when no pod uses it`),
    ),
  ];
}
