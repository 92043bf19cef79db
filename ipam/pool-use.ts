/** Finds the blocks in IPPools, and the pools that are in use. Pure. */
import { type IPPool, isTerminating } from '../datastore/schema/ip-pool.ts';
import type { IPAMBlock } from '../datastore/schema/ipam.ts';
import { contains, mustCidr } from '../lib/cidr.ts';
import { type Allocation, allocationsOf } from './block.ts';

/** Returns the blocks inside a pool. */
export function blocksIn(pool: IPPool, blocks: readonly IPAMBlock[]): IPAMBlock[] {
  const network = mustCidr(pool.spec.cidr);
  return blocks.filter(({ spec }) => contains(network, mustCidr(spec.cidr)));
}

/** Returns the blocks that delay a pool's deletion: those that no other remaining pool contains. */
export function blocksKeeping(
  pool: IPPool,
  pools: readonly IPPool[],
  blocks: readonly IPAMBlock[],
): IPAMBlock[] {
  const others = pools
    .filter((other) => other.metadata.name !== pool.metadata.name && !isTerminating(other))
    .map(({ spec }) => mustCidr(spec.cidr));
  return blocksIn(pool, blocks).filter(
    ({ spec }) => !others.some((other) => contains(other, mustCidr(spec.cidr))),
  );
}

/** Omits pools that are being deleted and hold only the nodes' own tunnel addresses: they need no tunnel. */
export function poolsWithPods(pools: readonly IPPool[], blocks: readonly IPAMBlock[]): IPPool[] {
  return pools.filter(
    (pool) =>
      !isTerminating(pool) ||
      blocksIn(pool, blocks).some(({ spec }) => allocationsOf(spec).some((one) => !isOfTunnel(one))),
  );
}

function isOfTunnel({ attributes }: Allocation): boolean {
  return attributes['type']?.endsWith('TunnelAddress') ?? false;
}
