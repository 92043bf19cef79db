/** Checks of an address that a pod requests, and the errors that refuse it. */
import { blockSizeOf, type IPPool, isTerminating } from '../datastore/schema/ip-pool.ts';
import type { IPReservation } from '../datastore/schema/ipam.ts';
import {
  contains,
  type Family,
  formatAddress,
  formatCidr,
  mustCidr,
  networkOf,
  parseAddress,
} from '../lib/cidr.ts';
import { printable } from '../lib/plain-text.ts';
import { type AssignRequest, IpamError } from './address-source.ts';
import { reservedBy } from './availability.ts';
import { affinityOf, type BlockSpec } from './block.ts';

/** A requested address, and its block. */
export interface Asked {
  readonly family: Family;
  readonly address: string;
  readonly cidr: string;
}

/** Checks a requested address against the pools and reservations. Throws IpamError. */
export function checkRequested(
  text: string,
  { use = 'Workload' }: Pick<AssignRequest, 'use'>,
  { pools, reservations }: { pools: readonly IPPool[]; reservations: readonly IPReservation[] },
): Asked {
  const parsed = parseAddress(text);
  const pool = parsed && pools.find(({ spec }) => contains(mustCidr(spec.cidr), parsed));
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
  if (reservedBy(reservations)(address)) {
    throw new IpamError('ADDRESS_OUTSIDE', `${address} is reserved by an IPReservation: request another`);
  }
  const cidr = formatCidr(networkOf({ ...parsed, length: blockSizeOf(pool) }));
  return { family: parsed.family, address, cidr };
}

/** Checks that a node may assign an address of a block. Throws IpamError ADDRESS_TAKEN while strictAffinity forbids it. */
export function assertAffine(
  { cidr, affinity }: Pick<BlockSpec, 'cidr' | 'affinity'>,
  address: string,
  { node, isStrict }: { node: string; isStrict: boolean | undefined },
): void {
  if (!isStrict || affinity === affinityOf(node)) return;
  throw new IpamError(
    'ADDRESS_TAKEN',
    `${address} is in block ${cidr} of ${affinity?.replace(/^host:/, 'node ') ?? 'no node'}, and strictAffinity is on: ` +
      'request another, or run the pod there',
  );
}

/** Returns the error for a requested address whose block assigns none. */
export function takenFrom(address: string, cidr: string, reason: string): IpamError {
  return new IpamError(
    'ADDRESS_TAKEN',
    `${address} is in block ${cidr}, which assigns no addresses (${reason}): request another, or correct the block`,
  );
}
