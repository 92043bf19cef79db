/** A route as a value, and as iproute2 writes it. */
import { familyOf } from '../../lib/cidr.ts';

import type { OwnProtocol } from './route-protocols.ts';

/** What is wanted. A unicast route has either a device or gateways. */
export interface Route {
  /** Canonical prefix text. */
  readonly destination: string;
  readonly type: 'unicast' | 'blackhole';
  readonly protocol: OwnProtocol;
  readonly device: string | undefined;
  /** Kernel metric; undefined: what the kernel takes by itself. */
  readonly metric?: number | undefined;
  /** Next hops, sorted; which way to them leads is found in the kernel's other routes. */
  readonly gateways: readonly string[];
  /** Gateways among them that are pods of this node, and may be: they announced the route. */
  readonly pods?: readonly string[] | undefined;
  /** Used where BGP brings no route: one that BGP brought before a restart stays until BGP is settled. */
  readonly isFallback?: boolean;
  /** Further ways, each through a tunnel device. */
  readonly tunnels?: readonly Hop[] | undefined;
  /** Address that this node's own packets leave with; undefined: the kernel's choice. */
  readonly source?: string | undefined;
}

/** What is in the kernel, ours or not. */
export interface KernelRoute {
  readonly destination: string;
  readonly type: string;
  /** Its number (linux/rtnetlink.h RTPROT_*). */
  readonly protocol: number;
  readonly metric: number | undefined;
  readonly source?: string | undefined;
  readonly hops: readonly Hop[];
}

/** One way out: through a gateway, or straight onto a link. */
export interface Hop {
  readonly gateway: string | undefined;
  readonly device: string | undefined;
  /** The gateway is taken to be on the link, whatever its address: the other end of a tunnel. */
  readonly isOnlink?: boolean | undefined;
}

/** Arguments of `ip route add|replace|del`, hops resolved. */
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

function hopArguments({ gateway, device, isOnlink }: Hop, destination: string): string {
  // RFC 8950: an IPv4 route through an IPv6 next hop.
  const family = gateway && familyOf(gateway) !== familyOf(destination) ? 'inet6 ' : '';
  return [gateway && `via ${family}${gateway}`, device && `dev ${device}`, isOnlink && 'onlink']
    .filter(Boolean)
    .join(' ');
}
