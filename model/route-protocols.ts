/**
 * Protocol numbers of our routes (`ip route … proto N`). A number identifies a route's writer, and felix removes every
 * unwanted route with one of ours. So no other program may use our numbers.
 */
import { BGP_PROTOCOL, hostProtocols } from '../lib/host-protocols.ts';

/**
 * `bgp` marks routes that BGP peers announced, `local` all others, such as those to pods and blackholes of own blocks.
 */
export type OwnProtocol = 'local' | 'bgp';

/** Protocol number per kind of route, 1 to 255. */
export type RouteProtocols = Readonly<Record<OwnProtocol, number>>;

/** Numbers that this node's agent used before. Routes with them may still exist. */
export type FormerProtocols = Readonly<Record<OwnProtocol, readonly number[]>>;

/** Not used by any header, daemon or network plugin that we know of (docs/decisions/route-protocol-numbers.md). */
export const DEFAULT_PROTOCOLS: RouteProtocols = { local: 161, bgp: BGP_PROTOCOL };

/** Numbers of version 0.1. Calico uses 80 too, FRR and GoBGP use 186. */
export const LEGACY_PROTOCOLS: RouteProtocols = { local: 80, bgp: 186 };

export const NO_FORMER: FormerProtocols = { local: [], bgp: [] };

/** Sources: linux/rtnetlink.h, FRR's zebra/rt_netlink.h, and network plugins that use their own number. */
const names: ReadonlyMap<number, string> = new Map([
  ...hostProtocols,
  [8, 'gated'],
  [10, 'mrt'],
  [11, 'zebra'],
  [12, 'bird'],
  [13, 'dnrouted'],
  [14, 'xorp'],
  [15, 'ntk'],
  [17, 'mrouted'],
  [18, 'keepalived'],
  [42, 'babel'],
  [80, '80 (Calico)'],
  [84, '84 (OVN)'],
  [99, 'openr'],
  [186, 'bgp'],
  [187, 'isis'],
  [188, 'ospf'],
  [189, 'rip'],
  [190, 'ripng'],
  [191, 'nhrp'],
  [192, 'eigrp'],
  [193, 'ldp'],
  [194, 'sharp'],
  [195, 'pbr'],
  [196, 'zstatic'],
  [197, 'openfabric'],
  [198, 'srte'],
  [248, '248 (kube-vip)'],
]);

/** Returns the display name of a number. */
export function protocolName(protocol: number): string {
  return names.get(protocol) ?? String(protocol);
}

/** Whether a known program uses this number too, so that the number alone proves nothing. */
export function isShared(protocol: number): boolean {
  return names.has(protocol);
}

/** Returns why we cannot use a number; undefined when we can. */
export function refusal(protocol: number, other: number): string | undefined {
  if (!Number.isInteger(protocol) || protocol < 1 || protocol > 255) return 'must be a number from 1 to 255';
  if (hostProtocols.has(protocol))
    return `is ${protocolName(protocol)}, which marks routes of the host itself`;
  return protocol === other ? 'already marks the other kind of Cali’s routes' : undefined;
}

/** Returns the former numbers after a change: the current ones are added, those in use again are removed. */
export function changeProtocols(
  current: RouteProtocols,
  former: FormerProtocols,
  next: RouteProtocols,
): FormerProtocols {
  const list = (own: OwnProtocol) =>
    [...new Set([...former[own], current[own]])].filter((one) => one !== next.local && one !== next.bgp);
  return { local: list('local'), bgp: list('bgp') };
}
