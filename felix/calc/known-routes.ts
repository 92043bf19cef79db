/**
 * Derives routes to other nodes' pods from the datastore, without BGP (Calico F-040, F-041): one per block to the node
 * that owns it, and one per address that another node borrowed.
 */
import type { LearnedRoute } from '../../bgp/learned-routes.ts';
import type { IPPool } from '../../datastore/schema/ip-pool.ts';
import type { IPAMBlock } from '../../datastore/schema/ipam.ts';
import { chooseEncapsulation } from '../../ipip/choice.ts';
import {
  addressAt,
  contains,
  type Family,
  formatAddress,
  hostCidr,
  mustCidr,
  sizeOf,
} from '../../lib/cidr.ts';
import type { NodeInfo } from '../../model/node.ts';

export function knownRoutes(
  self: string,
  nodes: readonly NodeInfo[],
  blocks: readonly IPAMBlock[],
): LearnedRoute[] {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const routes: LearnedRoute[] = [];
  for (const block of blocks) {
    const { cidr, family, owner, borrowed } = holdersOf(block);
    const nextHop = (name: string) => byName.get(name)?.addresses[family]?.address;
    const via = owner === undefined || owner === self ? undefined : nextHop(owner);
    if (via) routes.push({ prefix: cidr, nextHops: [via] });
    for (const { address, holder } of borrowed) {
      const hop = holder === self ? undefined : nextHop(holder);
      // Skip a node's own address inside a block: it is not a pod (F-043).
      if (hop && hop !== address) routes.push({ prefix: hostCidr(address), nextHops: [hop] });
    }
  }
  return routes;
}

/** The nodes that hold addresses of a block: its owner, and borrowers of single addresses. */
interface Holders {
  readonly cidr: string;
  readonly family: Family;
  readonly owner: string | undefined;
  readonly borrowed: readonly { readonly address: string; readonly holder: string }[];
}

/** Cache per version of a block: routes are calculated after every change, and blocks rarely change. */
const known = new WeakMap<IPAMBlock, Holders>();

function holdersOf(block: IPAMBlock): Holders {
  const found = known.get(block) ?? readHolders(block);
  known.set(block, found);
  return found;
}

function readHolders({ spec }: IPAMBlock): Holders {
  const net = mustCidr(spec.cidr);
  const owner = spec.affinity?.startsWith('host:') ? spec.affinity.slice('host:'.length) : undefined;
  const size = Number(sizeOf(net) < 65_536n ? sizeOf(net) : 65_536n);
  const borrowed = spec.allocations.slice(0, size).flatMap((index, ordinal) => {
    const holder = index === null ? undefined : spec.attributes[index]?.secondary?.['node'];
    return !holder || holder === owner ? [] : [{ address: formatAddress(addressAt(net, ordinal)), holder }];
  });
  return { cidr: spec.cidr, family: net.family, owner, borrowed };
}

/** Returns the learned routes outside the pools; the datastore decides the others. */
export function outsidePools(
  learned: Iterable<LearnedRoute>,
  pools: readonly { readonly spec: { readonly cidr: string } }[],
): LearnedRoute[] {
  const ranges = pools.map(({ spec }) => mustCidr(spec.cidr));
  return [...learned].filter(({ prefix }) => !ranges.some((range) => contains(range, mustCidr(prefix))));
}

/** A route for a prefix without a BGP route. */
export interface FallbackRoute extends LearnedRoute {
  /** Whether the pool's mode uses no tunnel: all next hops are in the node's own subnet (CrossSubnet). */
  readonly isDirect: boolean;
}

/**
 * Returns the datastore's routes in VXLAN pools. Routers between the nodes need no routes to these pods, so the routes
 * do not depend on BGP. (Calico's Felix programs them regardless of BGP.)
 */
export function vxlanRoutes(
  self: Pick<NodeInfo, 'addresses'> | undefined,
  known: readonly LearnedRoute[],
  pools: readonly IPPool[],
): FallbackRoute[] {
  const ranges = pools
    .filter(({ spec }) => spec.vxlanMode !== 'Never')
    .map(({ spec }) => ({ spec, range: mustCidr(spec.cidr) }));
  if (ranges.length === 0) return [];
  return known.flatMap((route) => {
    const prefix = mustCidr(route.prefix);
    const pool = ranges.find(({ range }) => contains(range, prefix));
    const own = self?.addresses[prefix.family];
    if (!pool || !own) return [];
    const subnet = mustCidr(`${own.address}/${own.length}`);
    const isDirect = route.nextHops.every((hop) => chooseEncapsulation(pool.spec, subnet, hop) === 'none');
    return [{ ...route, isDirect }];
  });
}
