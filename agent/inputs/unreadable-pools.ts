/**
 * IPPools without a usable version, and this node's dependencies on them. An agent that starts has no former version of
 * such a pool, so its tunnel and rules are missing, while other nodes may still have them. Pure.
 */

import type { UnreadableObject } from '../../datastore/informer.ts';
import { describeProblem } from '../../datastore/object-problem.ts';
import { type IPPool, ipPoolKind } from '../../datastore/schema/ip-pool.ts';
import type { IPAMBlock } from '../../datastore/schema/ipam.ts';
import { affinityOf } from '../../ipam/block.ts';
import { tunnelOf } from '../../ipip/choice.ts';
import { contains, mustCidr } from '../../lib/cidr.ts';
import type { NodeInfo } from '../../model/node.ts';
import { type TunnelKind, tunnelKinds, tunnels } from '../../model/tunnel.ts';

/** Maximum of items in a sentence. */
const MAX_NAMES = 5;

/** Returns a sentence for each IPPool without a usable version. */
export function absentPools(objects: readonly UnreadableObject[]): string[] {
  return objects
    .filter(({ problem, isAbsent }) => isAbsent && problem.kind === ipPoolKind.kind)
    .map(({ problem }) => describeProblem(problem));
}

/** Returns tunnels that this node published and that no readable pool needs. */
export function unclaimedTunnels({ tunnels: ends }: NodeInfo, pools: readonly IPPool[]): TunnelKind[] {
  const asked = new Set(pools.map(tunnelOf));
  return tunnelKinds.filter((kind) => ends[kind] && !asked.has(kind));
}

/**
 * Returns why the node is not ready: a pool is unusable, and blocks or tunnels of this node belong to no other pool.
 * Empty when this node does not depend on it.
 *
 * @param absent a sentence for each IPPool without a usable version
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
