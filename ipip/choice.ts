/**
 * Chooses the encapsulation of packets to a pod, by the pool's mode and whether the next hop is in the node's own
 * subnet (Calico reference F-045, B-074 to B-076). Pure.
 */
import type { IPPool } from '../datastore/schema/ip-pool.ts';
import { type Cidr, contains, type Family, mustCidr, parseAddress } from '../lib/cidr.ts';
import { type TunnelKind, type TunnelSettings, tunnelKinds, tunnels } from '../model/tunnel.ts';

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

/** Returns the tunnel of a pool; undefined when its mode is Never. */
export function tunnelOf({ spec }: IPPool): TunnelKind | undefined {
  const { tunnel, mode } = encapsulationOf(spec);
  if (mode === 'Never') return undefined;
  if (tunnel === 'ipip') return 'ipip';
  return mustCidr(spec.cidr).family === 4 ? 'vxlan4' : 'vxlan6';
}

/** Returns the tunnels that the pools need, in the node's families. Disabled pools count: they can still have pods. */
export function wantedTunnels(
  pools: readonly IPPool[],
  families: readonly Family[],
  { ipipEnabled, vxlanEnabled }: TunnelSettings,
): TunnelKind[] {
  const asked = new Set(pools.map(tunnelOf));
  return tunnelKinds.filter(
    (kind) =>
      asked.has(kind) &&
      families.includes(tunnels[kind].family) &&
      (kind === 'ipip' ? ipipEnabled : vxlanEnabled) !== false,
  );
}
