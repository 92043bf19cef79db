/**
 * IPPools of which nothing is in force, and what of this node depends on them. An agent that starts has no former
 * version of such a pool: its tunnel and its rules are missing, while other nodes may still have them. Pure.
 */
import { describeProblem } from '../datastore/object-problem.ts';
import type { UnreadableObject } from '../datastore/reflector.ts';
import { type IPPool, ipPoolKind } from '../datastore/schema/ip-pool.ts';
import type { IPAMBlock } from '../datastore/schema/ipam.ts';
import type { NodeInfo } from '../felix/calc/topology.ts';
import { affinityOf } from '../ipam/block.ts';
import { type TunnelKind, tunnelKinds, tunnelOf, tunnels } from '../ipip/tunnel.ts';
import { contains, mustCidr } from '../lib/cidr.ts';

/** Items that one sentence names at most. */
const MAX_NAMES = 5;

/** One sentence for each IPPool of which nothing is in force. */
export function absentPools(objects: readonly UnreadableObject[]): string[] {
  return objects
    .filter(({ problem, isAbsent }) => isAbsent && problem.kind === ipPoolKind.kind)
    .map(({ problem }) => describeProblem(problem));
}

/** Tunnels that this node published and that no readable pool asks for. */
export function unclaimedTunnels({ tunnels: ends }: NodeInfo, pools: readonly IPPool[]): TunnelKind[] {
  const asked = new Set(pools.map(tunnelOf));
  return tunnelKinds.filter((kind) => ends[kind] && !asked.has(kind));
}

/**
 * Why the node is not ready: a pool cannot be used, and blocks or tunnels of this node belong to no other pool. Empty
 * where nothing of this node depends on it.
 *
 * @param absent one sentence for each IPPool of which nothing is in force
 */
export function dependsOnAbsentPools(
  absent: readonly string[],
  { self, pools, blocks }: { self: NodeInfo; pools: readonly IPPool[]; blocks: readonly IPAMBlock[] },
): string[] {
  if (absent.length === 0) return [];
  const ranges = pools.map(({ spec }) => mustCidr(spec.cidr));
  const orphans = blocks.filter(
    ({ spec }) =>
      spec.affinity === affinityOf(self.name) &&
      !ranges.some((range) => contains(range, mustCidr(spec.cidr))),
  );
  const dependents = [
    ...unclaimedTunnels(self, pools).map((kind) => tunnels[kind].device),
    ...orphans.map(({ spec }) => `block ${spec.cidr}`),
  ];
  if (dependents.length === 0) return [];
  return [
    `${few(absent)}: correct it. On this node these belong to no other IPPool: ${few(dependents, ', ')}`,
  ];
}

function few(names: readonly string[], separator = '; '): string {
  const more = names.length - MAX_NAMES;
  return names.slice(0, MAX_NAMES).join(separator) + (more > 0 ? `${separator}and ${more} more` : '');
}
