/** Decides which pools the address of a tunnel may come from. Pure. */
import { type IPPool, isTerminating } from '../datastore/schema/ip-pool.ts';
import { contains, mustCidr, parseAddress } from '../lib/cidr.ts';
import { parseSelector } from '../lib/selector.ts';
import type { NodeInfo } from '../model/node.ts';
import type { TunnelKind } from '../model/tunnel.ts';
import { tunnelOf } from './choice.ts';

/** Returns the pools that may assign the node's address in the tunnel (Calico I-052). */
export function addressPools(pools: readonly IPPool[], kind: TunnelKind, { labels }: NodeInfo): IPPool[] {
  return pools.filter((pool) => {
    const selector = parseSelector(pool.spec.nodeSelector);
    return (
      tunnelOf(pool) === kind &&
      !pool.spec.disabled &&
      !isTerminating(pool) &&
      pool.spec.allowedUses.includes('Tunnel') &&
      selector.ok &&
      selector.matches(labels)
    );
  });
}

/** Whether one of the pools contains the address. */
export function isInPools(pools: readonly IPPool[], address: string): boolean {
  const parsed = parseAddress(address);
  return parsed !== undefined && pools.some(({ spec }) => contains(mustCidr(spec.cidr), parsed));
}
