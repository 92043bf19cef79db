/**
 * Operations on one block of addresses as an immutable value. Each function returns a new spec and keeps the old one
 * unchanged, so that a lost compare-and-swap needs no rollback. Calico reference 5.1.
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

/** The owner of an address. The handle serves to release it, the attributes describe it. */
export interface Owner {
  readonly handleId: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** Returns an empty block owned by a node. `sequence` is taken from the wall clock, so that it never repeats. */
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

/** Returns the value of `affinity` for a node. */
export function affinityOf(node: string): string {
  return `host:${node}`;
}

/** Whether no address is allocated. A damaged block counts as not empty, because its state is unknown. */
export function isEmpty(block: BlockSpec): boolean {
  return block.allocations.every((index) => index === null) && damageOf(block).length === 0;
}

/** Returns the number of ordinals inside the block with an entry. Other programs may have written more or fewer. */
function sizeOfBlock({ cidr, allocations }: BlockSpec): number {
  const size = sizeOf(mustCidr(cidr));
  return size < BigInt(allocations.length) ? Number(size) : allocations.length;
}

/** Yields valid free ordinals: inside the block and not also allocated. */
function* freeOrdinals(block: BlockSpec): Generator<number> {
  const size = sizeOfBlock(block);
  for (const ordinal of block.unallocated)
    if (ordinal >= 0 && ordinal < size && block.allocations[ordinal] === null) yield ordinal;
}

/** Returns the address at an ordinal as text. */
export function addressOf(block: BlockSpec, ordinal: number): string {
  return formatAddress(addressAt(mustCidr(block.cidr), ordinal));
}

/** Returns the ordinal of an address; undefined when it is outside the block. */
export function ordinalOf(block: BlockSpec, address: string): number | undefined {
  const network = mustCidr(block.cidr);
  const parsed = parseAddress(address);
  if (!parsed || !contains(network, parsed)) return undefined;
  return Number(parsed.value - networkOf(network).value);
}

/** Returns the handle's addresses in the block. */
export function addressesOf(block: BlockSpec, handleId: string): string[] {
  const found: string[] = [];
  block.allocations.slice(0, sizeOfBlock(block)).forEach((index, ordinal) => {
    if (index !== null && block.attributes[index]?.handle_id === handleId)
      found.push(addressOf(block, ordinal));
  });
  return found;
}

/** Whether the block has a free address that is not reserved. */
export function hasFree(block: BlockSpec, isReserved: (address: string) => boolean): boolean {
  for (const ordinal of freeOrdinals(block)) if (!isReserved(addressOf(block, ordinal))) return true;
  return false;
}

/** Allocates the unreserved address that has been free for the longest; undefined when there is none. */
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

/** Allocates a given address, or returns the handle of its current holder. */
export function assignAddress(
  block: BlockSpec,
  address: string,
  owner: Owner,
): { readonly ok: true; readonly block: BlockSpec } | { readonly ok: false; readonly holder: string } {
  const ordinal = ordinalOf(block, address);
  if (ordinal === undefined) throw new RangeError(`${address} is not in block ${block.cidr}`);
  if (ordinal >= sizeOfBlock(block)) return { ok: false, holder: `damaged block ${block.cidr}` };
  const index = block.allocations[ordinal];
  if (index !== null && index !== undefined) {
    return { ok: false, holder: block.attributes[index]?.handle_id ?? '(no handle)' };
  }
  return { ok: true, block: take(block, ordinal, owner) };
}

/** An allocated address of a block. */
export interface Allocation {
  readonly address: string;
  readonly handleId: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Distinguishes successive allocations of the same address (I-005); 0 when not recorded. */
  readonly sequence: number;
}

/** Returns all allocations, in order of address. */
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

/** Releases the allocations that `isReleased` selects. Their addresses are appended to the queue of free ones. */
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

/** Drops unused attributes and renumbers the others. */
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
