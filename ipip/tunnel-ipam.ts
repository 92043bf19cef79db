/** The address of a tunnel in IPAM: its handle, and the pools that it may come from. */
import { type IPPool, isTerminating } from '../datastore/schema/ip-pool.ts';
import type { AddressSource } from '../ipam/address-source.ts';
import { contains, mustCidr, parseAddress } from '../lib/cidr.ts';
import { parseSelector } from '../lib/selector.ts';
import type { NodeInfo } from '../model/node.ts';
import { type TunnelKind, tunnels } from '../model/tunnel.ts';
import { tunnelOf } from './choice.ts';

const handles: Readonly<Record<TunnelKind, { prefix: string; type: string }>> = {
  ipip: { prefix: 'ipip-tunnel-addr', type: 'ipipTunnelAddress' },
  vxlan4: { prefix: 'vxlan-tunnel-addr', type: 'vxlanTunnelAddress' },
  vxlan6: { prefix: 'vxlan-v6-tunnel-addr', type: 'vxlanV6TunnelAddress' },
};

/** What decides on the pools of a tunnel's address. */
export interface PoolsOfNode {
  readonly self: NodeInfo;
  readonly pools: readonly IPPool[];
}

/** Returns the address that IPAM has for the tunnel; undefined without one. */
export function heldTunnelAddress(ipam: AddressSource, kind: TunnelKind, node: string): string | undefined {
  return ipam.held(handleOf(kind, node))[0];
}

/**
 * Assigns an address from the pools, after a release of those that the pools no longer contain (Calico I-053). Without a
 * pool that assigns addresses, returns the one that IPAM has, because pods may still use the tunnel; undefined without
 * one. Throws IpamError or DatastoreError.
 */
export async function assignTunnelAddress(
  ipam: AddressSource,
  kind: TunnelKind,
  { self, pools }: PoolsOfNode,
): Promise<string | undefined> {
  const { family } = tunnels[kind];
  const usable = addressPools(pools, kind, self);
  const handleId = handleOf(kind, self.name);
  const held = ipam.held(handleId);
  if (usable.length === 0) return held[0];
  if (held.some((address) => !isInPools(usable, address))) await ipam.releaseHandle(handleId);
  const [address] = await ipam.assign({
    handleId,
    families: [family],
    attributes: { node: self.name, type: handles[kind].type },
    namespaceLabels: {},
    use: 'Tunnel',
    pools: { [family]: usable.map(({ metadata }) => metadata.name) },
  });
  return address;
}

/** Releases the address, if IPAM has one. Throws DatastoreError. */
export async function releaseTunnelAddress(
  ipam: AddressSource,
  kind: TunnelKind,
  node: string,
): Promise<void> {
  const handleId = handleOf(kind, node);
  if (ipam.held(handleId).length > 0) await ipam.releaseHandle(handleId);
}

/** Whether other pools have to assign a new address. Without such pools, the tunnel keeps its own. */
export function isOutsidePools(
  address: string | undefined,
  kind: TunnelKind,
  { self, pools }: PoolsOfNode,
): boolean {
  if (address === undefined) return false;
  const usable = addressPools(pools, kind, self);
  return usable.length > 0 && !isInPools(usable, address);
}

/** Returns the pools that may assign the node's address in the tunnel (Calico I-052). */
function addressPools(pools: readonly IPPool[], kind: TunnelKind, { labels }: NodeInfo): IPPool[] {
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
function isInPools(pools: readonly IPPool[], address: string): boolean {
  const parsed = parseAddress(address);
  return parsed !== undefined && pools.some(({ spec }) => contains(mustCidr(spec.cidr), parsed));
}

function handleOf(kind: TunnelKind, node: string): string {
  return `${handles[kind].prefix}-${node}`;
}
