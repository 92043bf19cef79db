/**
 * Which routes of the kernel are ours. Pure. A route with a number of ours is. While numbers change, one with a former
 * number is, too; but where other programs write that number as well (80: Calico, 186: FRR and GoBGP) only with proof.
 */

import { tunnelKinds, tunnels } from '../../ipip/tunnel.ts';
import { type Cidr, contains, mustCidr } from '../../lib/cidr.ts';
import { isOwnInterface } from '../endpoint.ts';
import type { KernelRoute } from './route.ts';
import { type FormerProtocols, isShared, type OwnProtocol, type RouteProtocols } from './route-protocols.ts';

export interface Ownership {
  readonly protocols: RouteProtocols;
  readonly former: FormerProtocols;
  /** IP pools and service ranges: what lies inside is the cluster's. Canonical prefix texts. */
  readonly ranges: readonly string[];
}

export interface Owner {
  readonly protocol: OwnProtocol;
  /** Written with a former number: to be replaced in place, or removed. */
  readonly isFormer: boolean;
}

/** Answers for one look at the kernel: the owner of a route, undefined when it is not ours. */
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

/** Which kind of route a former number marked; undefined for a number that we never wrote. */
export function formerProtocol(number: number, { local, bgp }: FormerProtocols): OwnProtocol | undefined {
  if (local.includes(number)) return 'local';
  return bgp.includes(number) ? 'bgp' : undefined;
}

/** On our own devices alone, or inside the cluster's ranges. */
function isProven(route: KernelRoute, protocol: OwnProtocol, ranges: readonly Cidr[]): boolean {
  const devices = tunnelKinds.map((kind) => tunnels[kind].device);
  const isOwnDevice = (device: string | undefined) =>
    device !== undefined && (isOwnInterface(device) || devices.includes(device));
  if (protocol === 'local' && route.hops.length > 0 && route.hops.every(({ device }) => isOwnDevice(device)))
    return true;
  const destination = mustCidr(route.destination);
  return ranges.some((range) => contains(range, destination));
}
