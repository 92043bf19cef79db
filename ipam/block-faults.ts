/**
 * What is wrong with blocks that other programs or people wrote. A block with a fault that could give one address twice
 * gives none; what it has given stays. Pure.
 */
import type { ObjectProblem } from '../datastore/object-problem.ts';
import { type IPAMBlock, ipamBlockKind, nameOfCidr } from '../datastore/schema/ipam.ts';
import { formatCidr, mustCidr, networkOf, sizeOf } from '../lib/cidr.ts';

type BlockSpec = IPAMBlock['spec'];

/** Sentences of one block. */
const MAX_FAULTS = 5;

/** Whether a block has the name of its network: whoever looks for the network finds no other block. */
export function hasOwnName({ metadata, spec }: IPAMBlock): boolean {
  return metadata.name === nameOfCidr(spec.cidr);
}

/** Faults that could give an address twice, at most six sentences; none in a block that may give addresses. */
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

/** A spec is a value: it has the same faults for ever. */
const known = new WeakMap<BlockSpec, readonly string[]>();

function* findDamage({ cidr, allocations, unallocated, attributes }: BlockSpec): Generator<string> {
  const size = allocations.length;
  const wanted = sizeOf(mustCidr(cidr));
  if (BigInt(size) !== wanted) yield `it has ${size} allocations, and ${wanted} addresses`;
  for (const index of new Set(allocations))
    if (index !== null && !attributes[index])
      yield `an address refers to attribute ${index}, which is not there`;
  for (const ordinal of new Set(unallocated))
    if (ordinal < 0 || ordinal >= size) yield `ordinal ${ordinal} is free and outside the block`;
    else if (allocations[ordinal] !== null) yield `ordinal ${ordinal} is free and taken`;
}

/** Everything that no allocator would write (Calico reference 6.3). */
export function faultsOf(block: BlockSpec): string[] {
  const { allocations, unallocated, attributes } = block;
  const faults = [...damageOf(block)];
  const used = new Set(allocations);
  attributes.forEach((_, index) => {
    if (!used.has(index)) faults.push(`no address refers to attribute ${index}`);
  });
  const free = new Set<number>();
  for (const ordinal of unallocated) {
    if (free.has(ordinal)) faults.push(`ordinal ${ordinal} is free twice`);
    free.add(ordinal);
  }
  allocations.forEach((index, ordinal) => {
    if (index === null && !free.has(ordinal)) faults.push(`ordinal ${ordinal} is neither free nor taken`);
  });
  return faults;
}

/** Blocks that overlap another one, with that one: both would give the same addresses. */
export function overlapsOf(blocks: readonly IPAMBlock[]): ReadonlyMap<IPAMBlock, IPAMBlock> {
  const found = new Map<IPAMBlock, IPAMBlock>();
  const lengths = new Set(blocks.map(({ spec }) => lengthOf(spec)));
  // The usual case, and the cheap one. 26 is of one family, 122 of the other.
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

/** Blocks that give no addresses, with the sentence why. */
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

/** The same, and blocks that have another block's name, as problems of objects. */
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
          `${block.spec.cidr} is the network of ${nameOfCidr(block.spec.cidr)}; the object is not used: delete it`,
          'spec.cidr',
        ),
      ),
    ...[...unusable].map(([block, reason]) =>
      problemOf(block, `${reason}; it gives no more addresses: delete it when no pod uses it`),
    ),
  ];
}
