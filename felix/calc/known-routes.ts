/**
 * Routes to other nodes' pods as the datastore says them, without BGP (Calico F-040, F-041): a route per block to the
 * node that owns it, and one per address that another node has borrowed.
 */
import type { LearnedRoute } from '../../bgp/learned.ts';
import type { IPAMBlock } from '../../datastore/schema/ipam.ts';
import { addressAt, contains, formatAddress, hostCidr, mustCidr, sizeOf } from '../../lib/cidr.ts';
import type { NodeInfo } from './topology.ts';

export function knownRoutes(
  self: string,
  nodes: readonly NodeInfo[],
  blocks: readonly IPAMBlock[],
): LearnedRoute[] {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const routes: LearnedRoute[] = [];
  for (const { spec } of blocks) {
    const net = mustCidr(spec.cidr);
    const owner = spec.affinity?.startsWith('host:') ? spec.affinity.slice('host:'.length) : undefined;
    const nextHop = (name: string) => byName.get(name)?.addresses[net.family]?.address;
    const via = owner === undefined || owner === self ? undefined : nextHop(owner);
    if (via) routes.push({ prefix: spec.cidr, nextHops: [via] });
    const size = Number(sizeOf(net) < 65_536n ? sizeOf(net) : 65_536n);
    spec.allocations.slice(0, size).forEach((index, ordinal) => {
      const holder = index === null ? undefined : spec.attributes[index]?.secondary?.['node'];
      if (!holder || holder === owner || holder === self) return;
      const address = formatAddress(addressAt(net, ordinal));
      const hop = nextHop(holder);
      // A node's own address inside a block is no pod (F-043).
      if (hop && hop !== address) routes.push({ prefix: hostCidr(address), nextHops: [hop] });
    });
  }
  return routes;
}

/** Learned routes that the datastore does not decide: those outside the pools. */
export function outsidePools(
  learned: Iterable<LearnedRoute>,
  pools: readonly { readonly spec: { readonly cidr: string } }[],
): LearnedRoute[] {
  const ranges = pools.map(({ spec }) => mustCidr(spec.cidr));
  return [...learned].filter(({ prefix }) => !ranges.some((range) => contains(range, mustCidr(prefix))));
}
