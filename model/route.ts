/** Defines routes and formats them for iproute2. */
import { familyOf } from '../lib/cidr.ts';

import type { OwnProtocol } from './route-protocols.ts';

/** A desired route. A unicast route has a device, or gateways and tunnels. */
export interface Route {
  /** Canonical prefix text. */
  readonly destination: string;
  readonly type: 'unicast' | 'blackhole';
  readonly protocol: OwnProtocol;
  readonly device: string | undefined;
  /** Kernel metric; undefined: the kernel's default. */
  readonly metric?: number | undefined;
  /** Next hops, sorted. They are resolved through the kernel's other routes. */
  readonly gateways: readonly string[];
  /** The gateways that may be pods of this node, because these pods announced the route. */
  readonly pods?: readonly string[] | undefined;
  /** Used for a prefix without a BGP route. A BGP route from before a restart is kept until BGP has converged. */
  readonly isFallback?: boolean;
  /** Additional next hops, each through a tunnel device. */
  readonly tunnels?: readonly Hop[] | undefined;
  /** Source address of this node's own packets; undefined: the kernel chooses. */
  readonly source?: string | undefined;
}

/** A route in the kernel, ours or not. */
export interface KernelRoute {
  readonly destination: string;
  readonly type: string;
  /** Protocol number (linux/rtnetlink.h RTPROT_*). */
  readonly protocol: number;
  readonly metric: number | undefined;
  readonly source?: string | undefined;
  readonly hops: readonly Hop[];
}

/** A resolved next hop: a gateway, or a directly connected link. */
export interface Hop {
  readonly gateway: string | undefined;
  readonly device: string | undefined;
  /** Treats the gateway as on the link whatever its address: the other end of a tunnel. */
  readonly isOnlink?: boolean | undefined;
}

/** Returns the arguments of `ip route add|replace|del` for resolved hops. */
export function routeCommand(
  verb: 'add' | 'replace' | 'del',
  route: Omit<Route, 'gateways' | 'device' | 'pods' | 'tunnels' | 'protocol' | 'isFallback'>,
  protocol: number,
  hops: readonly Hop[],
): string {
  const { destination, type, metric, source } = route;
  const name = [
    protocol,
    ...(metric === undefined ? [] : [`metric ${metric}`]),
    ...(source === undefined ? [] : [`src ${source}`]),
  ].join(' ');
  if (type === 'blackhole') return `route ${verb} blackhole ${destination} proto ${name}`;
  if (verb === 'del') return `route del ${destination} proto ${name}`;
  const [first, ...more] = hops;
  if (first && more.length === 0) {
    const scope = first.gateway === undefined && familyOf(destination) === 4 ? ' scope link' : '';
    return `route ${verb} ${destination} ${hopArguments(first, destination)}${scope} proto ${name}`;
  }
  return `route ${verb} ${destination} proto ${name} ${hops.map((hop) => `nexthop ${hopArguments(hop, destination)}`).join(' ')}`;
}

/** Returns the arguments of iproute2 for one hop: `via 10.0.0.1 dev eth0`. */
export function hopArguments({ gateway, device, isOnlink }: Hop, destination: string): string {
  // An IPv4 route through an IPv6 next hop (RFC 8950).
  const family = gateway && familyOf(gateway) !== familyOf(destination) ? 'inet6 ' : '';
  return [gateway && `via ${family}${gateway}`, device && `dev ${device}`, isOnlink && 'onlink']
    .filter(Boolean)
    .join(' ');
}
