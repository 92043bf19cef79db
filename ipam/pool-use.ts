/** What of an IPPool is in use. Pure. */
import { type IPPool, isTerminating } from '../datastore/schema/ip-pool.ts';
import type { IPAMBlock } from '../datastore/schema/ipam.ts';
import { contains, mustCidr } from '../lib/cidr.ts';
import { type Allocation, allocationsOf } from './block.ts';

/** Blocks inside a pool. */
export function blocksIn(pool: IPPool, blocks: readonly IPAMBlock[]): IPAMBlock[] {
  const network = mustCidr(pool.spec.cidr);
  return blocks.filter(({ spec }) => contains(network, mustCidr(spec.cidr)));
}

/** Blocks that a deleted pool waits for. What another pool contains as well, one that stays, is that one's. */
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

/** Pools without those that are being deleted and have no address but nodes' own ones in tunnels: they need no tunnel. */
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
