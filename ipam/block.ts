/**
 * One block of addresses as a value. Every function returns a new spec and leaves the old one as it was,
 * so that a lost compare-and-swap costs nothing. Calico reference 5.1.
 */

import type { IPAMBlock } from '../datastore/schema/ipam.ts';
import {
  addressAt,
  contains,
  formatAddress,
  mustCidr,
  networkOf,
  parseAddress,
  sizeOf,
} from '../lib/cidr.ts';
import { damageOf } from './block-faults.ts';

export type BlockSpec = IPAMBlock['spec'];

/** Who an address belongs to: the handle frees it, the attributes explain it. */
export interface Owner {
  readonly handleId: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** An empty block owned by a node. `sequence` starts from the wall clock, so that it never repeats. */
export function newBlock(cidr: string, node: string, sequence: number): BlockSpec {
  const size = Number(sizeOf(mustCidr(cidr)));
  return {
    cidr,
    affinity: affinityOf(node),
    allocations: Array<null>(size).fill(null),
    unallocated: Array.from({ length: size }, (_, ordinal) => ordinal),
    attributes: [],
    sequenceNumber: sequence,
    sequenceNumberForAllocation: {},
    deleted: false,
  };
}

/** Value of `affinity` for a node. */
export function affinityOf(node: string): string {
  return `host:${node}`;
}

/** Whether no address is taken. Of a damaged block that cannot be said: it is not empty. */
export function isEmpty(block: BlockSpec): boolean {
  return block.allocations.every((index) => index === null) && damageOf(block).length === 0;
}

/** Number of ordinals that lie in the block and have an entry: what other programs wrote may be longer or shorter. */
function sizeOfBlock({ cidr, allocations }: BlockSpec): number {
  const size = sizeOf(mustCidr(cidr));
  return size < BigInt(allocations.length) ? Number(size) : allocations.length;
}

/** Free ordinals that are one: inside the block, and not taken at the same time. */
function* freeOrdinals(block: BlockSpec): Generator<number> {
  const size = sizeOfBlock(block);
  for (const ordinal of block.unallocated)
    if (ordinal >= 0 && ordinal < size && block.allocations[ordinal] === null) yield ordinal;
}

/** Text of the address at an ordinal. */
export function addressOf(block: BlockSpec, ordinal: number): string {
  return formatAddress(addressAt(mustCidr(block.cidr), ordinal));
}

/** Ordinal of an address in the block, undefined when it is not in it. */
export function ordinalOf(block: BlockSpec, address: string): number | undefined {
  const network = mustCidr(block.cidr);
  const parsed = parseAddress(address);
  if (!parsed || !contains(network, parsed)) return undefined;
  return Number(parsed.value - networkOf(network).value);
}

/** The owner's addresses in the block. */
export function addressesOf(block: BlockSpec, handleId: string): string[] {
  const found: string[] = [];
  block.allocations.slice(0, sizeOfBlock(block)).forEach((index, ordinal) => {
    if (index !== null && block.attributes[index]?.handle_id === handleId)
      found.push(addressOf(block, ordinal));
  });
  return found;
}

/** Whether an address is free and not reserved somewhere in the block. */
export function hasFree(block: BlockSpec, isReserved: (address: string) => boolean): boolean {
  for (const ordinal of freeOrdinals(block)) if (!isReserved(addressOf(block, ordinal))) return true;
  return false;
}

/** Takes the address that has been free for the longest; undefined when the block is full. */
export function assignNext(
  block: BlockSpec,
  owner: Owner,
  isReserved: (address: string) => boolean,
): { readonly block: BlockSpec; readonly address: string } | undefined {
  for (const ordinal of freeOrdinals(block)) {
    const address = addressOf(block, ordinal);
    if (!isReserved(address)) return { block: take(block, ordinal, owner), address };
  }
  return undefined;
}

/** Takes one given address. The current holder's handle when it is taken. */
export function assignAddress(
  block: BlockSpec,
  address: string,
  owner: Owner,
): { readonly ok: true; readonly block: BlockSpec } | { readonly ok: false; readonly holder: string } {
  const ordinal = ordinalOf(block, address);
  if (ordinal === undefined) throw new RangeError(`${address} is not in block ${block.cidr}`);
  if (ordinal >= sizeOfBlock(block)) return { ok: false, holder: `block ${block.cidr}, which is damaged` };
  const index = block.allocations[ordinal];
  if (index !== null && index !== undefined) {
    return { ok: false, holder: block.attributes[index]?.handle_id ?? '(no handle)' };
  }
  return { ok: true, block: take(block, ordinal, owner) };
}

/** One address of a block that is taken. */
export interface Allocation {
  readonly address: string;
  readonly handleId: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Differs between this allocation and the next one of the same address (I-005); 0 where it was not recorded. */
  readonly sequence: number;
}

/** Every address that is taken, in order. */
export function allocationsOf(block: BlockSpec): Allocation[] {
  return block.allocations
    .slice(0, sizeOfBlock(block))
    .flatMap((index, ordinal) => (index === null ? [] : [allocationAt(block, index, ordinal)]));
}

function allocationAt(block: BlockSpec, index: number, ordinal: number): Allocation {
  const attribute = block.attributes[index];
  return {
    address: addressOf(block, ordinal),
    handleId: attribute?.handle_id ?? '',
    attributes: attribute?.secondary ?? {},
    sequence: block.sequenceNumberForAllocation[ordinal] ?? 0,
  };
}

/** Frees every allocation that the test picks; freed addresses go to the end of the queue. */
export function release(
  block: BlockSpec,
  isReleased: (allocation: Allocation) => boolean,
): { readonly block: BlockSpec; readonly addresses: readonly string[] } {
  const freed = block.allocations.flatMap((index, ordinal) =>
    index !== null && isReleased(allocationAt(block, index, ordinal)) ? [ordinal] : [],
  );
  if (freed.length === 0) return { block, addresses: [] };
  const isFreed = new Set(freed);
  const allocations = block.allocations.map((index, ordinal) => (isFreed.has(ordinal) ? null : index));
  const sequences = Object.entries(block.sequenceNumberForAllocation).filter(
    ([ordinal]) => !isFreed.has(Number(ordinal)),
  );
  return {
    addresses: freed.map((ordinal) => addressOf(block, ordinal)),
    block: {
      ...block,
      ...compactAttributes(allocations, block.attributes),
      unallocated: [...block.unallocated, ...freed],
      sequenceNumber: block.sequenceNumber + 1,
      sequenceNumberForAllocation: Object.fromEntries(sequences),
    },
  };
}

function take(block: BlockSpec, ordinal: number, owner: Owner): BlockSpec {
  const wanted = JSON.stringify({ handle_id: owner.handleId, secondary: owner.attributes });
  let index = block.attributes.findIndex(
    ({ handle_id, secondary }) => JSON.stringify({ handle_id, secondary }) === wanted,
  );
  const attributes = [...block.attributes];
  if (index < 0) {
    index = attributes.length;
    attributes.push({ handle_id: owner.handleId, secondary: { ...owner.attributes } });
  }
  const sequenceNumber = block.sequenceNumber + 1;
  return {
    ...block,
    attributes,
    allocations: block.allocations.with(ordinal, index),
    unallocated: block.unallocated.filter((free) => free !== ordinal),
    sequenceNumber,
    sequenceNumberForAllocation: { ...block.sequenceNumberForAllocation, [ordinal]: sequenceNumber },
  };
}

/** Drops attributes that nothing refers to any more and renumbers the others. */
function compactAttributes(allocations: readonly (number | null)[], attributes: BlockSpec['attributes']) {
  const renumbered = new Map<number, number>();
  for (const index of allocations) {
    if (index !== null && !renumbered.has(index)) renumbered.set(index, renumbered.size);
  }
  return {
    allocations: allocations.map((index) => (index === null ? null : renumbered.get(index)!)),
    attributes: [...renumbered.keys()].map((index) => attributes[index]!),
  };
}
