/** The routes that a node should have. Pure: the same inputs give the same routes, whatever came before. */
import type { LearnedRoute } from '../../bgp/learned.ts';
import { PRIORITY_SUM } from '../../bgp/policy/filter.ts';
import { bitsOf, contains, type Family, familyOf, hostCidr, mustCidr } from '../../lib/cidr.ts';
import type { Route } from '../dataplane/route.ts';
import type { Endpoint } from '../endpoint.ts';
import type { Encapsulate } from './encapsulation.ts';
import type { FallbackRoute } from './known-routes.ts';

export interface RoutesInput {
  readonly endpoints: readonly Endpoint[];
  /** This node's blocks. */
  readonly blocks: readonly string[];
  readonly learned: Iterable<LearnedRoute>;
  /** Routes to other nodes' pods that the datastore says (routeSource); they come before learned ones. */
  readonly known?: readonly LearnedRoute[];
  /** Routes to other nodes' pods in VXLAN pools, for prefixes that BGP does not bring. */
  readonly fallback?: readonly FallbackRoute[];
  /** Which next hops of a prefix are reached through a tunnel; none when undefined. */
  readonly encapsulate?: Encapsulate;
  /** Peers that are reached through a gateway (Calico B-056): address and gateway. */
  readonly reachable?: readonly { readonly address: string; readonly gateway: string }[];
  /** Kernel metric of ordinary learned routes, by family; 1024 where undefined. */
  readonly normalPriorities?: Readonly<Partial<Record<Family, number>>>;
  /** Ranges in which learned routes are not for the kernel: service addresses (Calico B-070). */
  readonly refused?: readonly string[];
}

/**
 * For one prefix a local workload wins over a learned route, that over a fallback, and that over a blackhole (Calico
 * F-018). Two
 * endpoints with one address: the interface that sorts last keeps it.
 */
export function desiredRoutes({ endpoints, blocks, learned, refused = [], ...input }: RoutesInput): Route[] {
  const services = refused.map(mustCidr);
  const routes = new Map<string, Route>();
  for (const block of blocks) {
    const cidr = mustCidr(block);
    // A block of one address has no room for a blackhole beside its pod (Calico B-106).
    if (cidr.length === bitsOf(cidr.family)) continue;
    routes.set(block, {
      destination: block,
      type: 'blackhole',
      protocol: 'local',
      device: undefined,
      gateways: [],
    });
  }
  for (const { address, gateway } of input.reachable ?? []) {
    const destination = hostCidr(address);
    routes.set(destination, {
      destination,
      type: 'unicast',
      protocol: 'local',
      device: undefined,
      gateways: [gateway],
    });
  }
  const encapsulate = input.encapsulate ?? ((_, nextHops) => ({ gateways: nextHops }));
  for (const { prefix, nextHops, isDirect } of input.fallback ?? []) {
    const ways = encapsulate(prefix, nextHops);
    // Without its tunnel a packet would go to a router that does not know the pod.
    if (routes.has(prefix) || (ways.gateways.length > 0 && !isDirect)) continue;
    routes.set(prefix, {
      destination: prefix,
      type: 'unicast',
      protocol: 'local',
      device: undefined,
      isFallback: true,
      ...ways,
    });
  }
  for (const { prefix, nextHops, pods, localPref } of learned) {
    if (services.length > 0 && services.some((range) => contains(range, mustCidr(prefix)))) continue;
    routes.set(prefix, {
      destination: prefix,
      type: 'unicast',
      protocol: 'bgp',
      device: undefined,
      ...encapsulate(prefix, nextHops),
      ...(pods ? { pods } : {}),
      ...metricOf(localPref, input.normalPriorities?.[familyOf(prefix)] ?? NORMAL_PRIORITY),
    });
  }
  for (const { prefix, nextHops } of input.known ?? []) {
    routes.set(prefix, {
      destination: prefix,
      type: 'unicast',
      protocol: 'local',
      device: undefined,
      ...encapsulate(prefix, nextHops),
    });
  }
  for (const { interfaceName, addresses } of endpoints.toSorted((a, b) =>
    a.interfaceName < b.interfaceName ? -1 : 1,
  )) {
    for (const address of addresses) {
      const destination = hostCidr(address);
      routes.set(destination, {
        destination,
        type: 'unicast',
        protocol: 'local',
        device: interfaceName,
        gateways: [],
      });
    }
  }
  return [...routes.values()];
}

/** Metric of ordinary routes, which is not written out. */
const NORMAL_PRIORITY = 1024;

/** Calico B-071: a LOCAL_PREF that says a priority becomes the metric; the ordinary one is left to the kernel. */
function metricOf(localPref: number | undefined, normal: number): { metric?: number } {
  // Below half of the range it is an operator's LOCAL_PREF, such as 100, and says nothing about metrics.
  const isPriority = localPref !== undefined && localPref > PRIORITY_SUM / 2 && localPref < PRIORITY_SUM;
  const metric = isPriority ? PRIORITY_SUM - localPref : normal;
  return metric === NORMAL_PRIORITY ? {} : { metric };
}
