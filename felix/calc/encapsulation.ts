/** Learned routes whose pool asks for a tunnel, as sentences for people: this version routes them natively. */
import type { LearnedRoute } from '../../bgp/learned.ts';
import type { IPPool } from '../../datastore/schema/ip-pool.ts';
import { chooseEncapsulation } from '../../ipip/choice.ts';
import { contains, familyOf, mustCidr } from '../../lib/cidr.ts';
import type { NodeInfo } from './topology.ts';

/** One sentence per pool that has such a route. */
export function encapsulationWarnings(
  self: NodeInfo,
  pools: readonly IPPool[],
  learned: Iterable<LearnedRoute>,
): string[] {
  const warned = new Set<string>();
  for (const { prefix, nextHops } of learned) {
    const own = self.addresses[familyOf(prefix)];
    const pool = pools.find(({ spec }) => contains(mustCidr(spec.cidr), mustCidr(prefix)));
    if (!own || !pool) continue;
    const subnet = mustCidr(`${own.address}/${own.length}`);
    const wanted = nextHops
      .map((nextHop) => chooseEncapsulation(pool.spec, subnet, nextHop))
      .find((choice) => choice !== 'none');
    if (!wanted) continue;
    warned.add(
      `IPPool ${pool.metadata.name} wants ${wanted.toUpperCase()} to other nodes, which this version does not have: ` +
        'packets go unencapsulated, so every router between the nodes must know the pod routes',
    );
  }
  return [...warned];
}
