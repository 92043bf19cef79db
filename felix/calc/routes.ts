/** Calculates the routes that a node should have. Pure: equal inputs give equal routes. */
import type { LearnedRoute } from '../../bgp/learned-routes.ts';
import { PRIORITY_SUM } from '../../bgp/policy/filter.ts';
import type { Encapsulate } from '../../ipip/encapsulation.ts';
import { bitsOf, contains, type Family, familyOf, hostCidr, mustCidr } from '../../lib/cidr.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import type { Route } from '../../model/route.ts';
import type { FallbackRoute } from './known-routes.ts';

export interface RoutesInput {
  readonly endpoints: readonly Endpoint[];
  /** This node's blocks. */
  readonly blocks: readonly string[];
  readonly learned: Iterable<LearnedRoute>;
  /** Routes to other nodes' pods from the datastore (routeSource). They override learned ones. */
  readonly known?: readonly LearnedRoute[];
  /** Routes to other nodes' pods in VXLAN pools, for prefixes without a BGP route. */
  readonly fallback?: readonly FallbackRoute[];
  /** Selects the next hops that are reached through a tunnel; none when undefined. */
  readonly encapsulate?: Encapsulate;
  /** Peers that are reached through a gateway (Calico B-056). */
  readonly reachable?: readonly { readonly address: string; readonly gateway: string }[];
  /** Kernel metric of learned routes of normal priority, by family; 1024 when undefined. */
  readonly normalPriorities?: Readonly<Partial<Record<Family, number>>>;
  /** Service ranges. Learned routes inside them are not programmed (Calico B-070). */
  readonly refused?: readonly string[];
}

/**
 * For one prefix, a local workload wins, then a route from the datastore, then a learned route, then a blackhole or a
 * peer's gateway, then a fallback (compare Calico F-018). Of two endpoints with one address, the interface that sorts
 * last wins.
 */
export function desiredRoutes({ endpoints, blocks, learned, refused = [], ...input }: RoutesInput): Route[] {
  const services = refused.map(mustCidr);
  const routes = new Map<string, Route>();
  for (const block of blocks) {
    const cidr = mustCidr(block);
    // In a block of one address, the blackhole would have the prefix of its pod (Calico B-106).
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
    // Without its tunnel, the packet would reach a router that has no route to the pod.
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

/** Default metric. A route with this metric carries none. */
const NORMAL_PRIORITY = 1024;

/** A LOCAL_PREF that encodes a priority becomes the metric (Calico B-071). The default metric is omitted. */
function metricOf(localPref: number | undefined, normal: number): { metric?: number } {
  // Below half of the range, it is an operator's LOCAL_PREF, such as 100, and does not encode a metric.
  const isPriority = localPref !== undefined && localPref > PRIORITY_SUM / 2 && localPref < PRIORITY_SUM;
  const metric = isPriority ? PRIORITY_SUM - localPref : normal;
  return metric === NORMAL_PRIORITY ? {} : { metric };
}
