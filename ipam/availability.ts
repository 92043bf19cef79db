/** Addresses that must not be assigned, although they are free in their block. */
import type { IPAMBlock, IPReservation } from '../datastore/schema/ipam.ts';
import { type Cidr, contains, parseAddress, parseCidr } from '../lib/cidr.ts';
import { allocationsOf } from './block.ts';
import { damageOf } from './block-faults.ts';

/** Returns the networks of the reservations. */
export function reservedNetworks(reservations: readonly IPReservation[]): Cidr[] {
  return reservations.flatMap(({ spec }) => spec.reservedCIDRs).flatMap((text) => parseCidr(text) ?? []);
}

/** Returns a test for addresses inside reservations. */
export function reservedBy(reservations: readonly IPReservation[]): (address: string) => boolean {
  const reserved = reservedNetworks(reservations);
  if (reserved.length === 0) return () => false;
  return (address) => {
    const parsed = parseAddress(address);
    return parsed !== undefined && reserved.some((range) => contains(range, parsed));
  };
}

/** Returns allocations of damaged blocks. Blocks that overlap those remain usable, except for these addresses. */
export function damagedAddresses(blocks: readonly IPAMBlock[]): ReadonlySet<string> {
  const damaged = blocks.filter(({ spec }) => damageOf(spec).length > 0);
  return new Set(damaged.flatMap(({ spec }) => allocationsOf(spec).map(({ address }) => address)));
}

/** Returns a test for addresses of damaged blocks and of reservations. */
export function unavailableIn(
  blocks: readonly IPAMBlock[],
  reservations: readonly IPReservation[],
): (address: string) => boolean {
  const damaged = damagedAddresses(blocks);
  const isReserved = reservedBy(reservations);
  return (address) => damaged.has(address) || isReserved(address);
}
