/**
 * Decides which kernel routes are ours. Pure. A route with one of our protocol numbers is ours. While numbers change,
 * so is one with a former number. If other programs use that number too (80: Calico, 186: FRR and GoBGP), proof is
 * needed.
 */

import { type Cidr, contains, mustCidr } from '../lib/cidr.ts';
import { isOwnInterface } from './endpoint.ts';
import type { KernelRoute } from './route.ts';
import { type FormerProtocols, isShared, type OwnProtocol, type RouteProtocols } from './route-protocols.ts';
import { tunnelKinds, tunnels } from './tunnel.ts';

export interface Ownership {
  readonly protocols: RouteProtocols;
  readonly former: FormerProtocols;
  /** IP pools and service ranges, as canonical text. Destinations inside them belong to the cluster. */
  readonly ranges: readonly string[];
}

export interface Owner {
  readonly protocol: OwnProtocol;
  /** Whether it has a former number and must be replaced in place or removed. */
  readonly isFormer: boolean;
}

/** Returns a function that returns the owner of a route; undefined when it is not ours. */
export function ownership({
  protocols,
  former,
  ranges,
}: Ownership): (route: KernelRoute) => Owner | undefined {
  const current = new Map<number, Owner>([
    [protocols.local, { protocol: 'local', isFormer: false }],
    [protocols.bgp, { protocol: 'bgp', isFormer: false }],
  ]);
  const inside = ranges.map(mustCidr);
  return (route) => {
    const owner = current.get(route.protocol);
    if (owner) return owner;
    const protocol = formerProtocol(route.protocol, former);
    if (!protocol) return undefined;
    const isOurs = !isShared(route.protocol) || isProven(route, protocol, inside);
    return isOurs ? { protocol, isFormer: true } : undefined;
  };
}

/** Returns the kind of route that a former number marked; undefined for a number that we never used. */
export function formerProtocol(number: number, { local, bgp }: FormerProtocols): OwnProtocol | undefined {
  if (local.includes(number)) return 'local';
  return bgp.includes(number) ? 'bgp' : undefined;
}

/** Whether a local route uses only our own devices, or any route is inside the cluster's ranges. */
function isProven(route: KernelRoute, protocol: OwnProtocol, ranges: readonly Cidr[]): boolean {
  const devices = tunnelKinds.map((kind) => tunnels[kind].device);
  const isOwnDevice = (device: string | undefined) =>
    device !== undefined && (isOwnInterface(device) || devices.includes(device));
  if (protocol === 'local' && route.hops.length > 0 && route.hops.every(({ device }) => isOwnDevice(device)))
    return true;
  const destination = mustCidr(route.destination);
  return ranges.some((range) => contains(range, destination));
}
