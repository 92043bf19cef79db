/**
 * Chooses the encapsulation of packets to a pod, by the pool's mode and whether the next hop is in the node's own
 * subnet (Calico reference F-045, B-074 to B-076). Pure.
 */
import type { IPPool } from '../datastore/schema/ip-pool.ts';
import { type Cidr, contains, parseAddress } from '../lib/cidr.ts';

export type Encapsulation = 'none' | 'ipip' | 'vxlan';

/** `subnet` is the node's own address with the prefix length of its subnet. */
export function chooseEncapsulation(pool: IPPool['spec'], subnet: Cidr, nextHop: string): Encapsulation {
  const { tunnel, mode } = encapsulationOf(pool);
  if (mode === 'Never') return 'none';
  if (mode === 'Always') return tunnel;
  const hop = parseAddress(nextHop);
  return hop && contains(subnet, hop) ? 'none' : tunnel;
}

/** Returns the pool's tunnel and when to use it. */
export function encapsulationOf({ ipipMode, vxlanMode }: IPPool['spec']): {
  tunnel: Exclude<Encapsulation, 'none'>;
  mode: 'Never' | 'Always' | 'CrossSubnet';
} {
  return vxlanMode === 'Never' ? { tunnel: 'ipip', mode: ipipMode } : { tunnel: 'vxlan', mode: vxlanMode };
}
