/**
 * Which encapsulation a packet to a pod takes: the pool's mode, and whether the next hop is in the node's own
 * subnet (Calico reference F-045, B-074 to B-076). Pure.
 */
import type { IPPool } from '../datastore/schema/ip-pool.ts';
import { type Cidr, contains, parseAddress } from '../lib/cidr.ts';

export type Encapsulation = 'none' | 'ipip' | 'vxlan';

/** `subnet` is the node's own address with the prefix length of its subnet. */
export function chooseEncapsulation(pool: IPPool['spec'], subnet: Cidr, nextHop: string): Encapsulation {
  const tunnel = pool.vxlanMode === 'Never' ? ('ipip' as const) : ('vxlan' as const);
  const mode = tunnel === 'vxlan' ? pool.vxlanMode : pool.ipipMode;
  if (mode === 'Never') return 'none';
  if (mode === 'Always') return tunnel;
  const hop = parseAddress(nextHop);
  return hop && contains(subnet, hop) ? 'none' : tunnel;
}
