/**
 * The protocol numbers of our routes (`ip route … proto N`). A number says who wrote a route, so ours must be numbers
 * that no other program uses: felix removes every route that has one and is not wanted.
 */

/** Pods and blackholes of own blocks are local; what a BGP peer announced is bgp. */
export type OwnProtocol = 'local' | 'bgp';

/** A number for each, 1 to 255. */
export type RouteProtocols = Readonly<Record<OwnProtocol, number>>;

/** Numbers that this node's agent wrote before, whose routes may still be there. */
export type FormerProtocols = Readonly<Record<OwnProtocol, readonly number[]>>;

/** In no header, daemon or network plugin that we know (DESIGN.md). */
export const DEFAULT_PROTOCOLS: RouteProtocols = { local: 161, bgp: 162 };

/** What version 0.1 wrote. Calico writes 80 as well, FRR and GoBGP 186. */
export const LEGACY_PROTOCOLS: RouteProtocols = { local: 80, bgp: 186 };

export const NO_FORMER: FormerProtocols = { local: [], bgp: [] };

/** linux/rtnetlink.h, FRR's zebra/rt_netlink.h, and the network plugins that write a number of their own. */
const names: ReadonlyMap<number, string> = new Map([
  [0, 'unspec'],
  [1, 'redirect'],
  [2, 'kernel'],
  [3, 'boot'],
  [4, 'static'],
  [8, 'gated'],
  [9, 'ra'],
  [10, 'mrt'],
  [11, 'zebra'],
  [12, 'bird'],
  [13, 'dnrouted'],
  [14, 'xorp'],
  [15, 'ntk'],
  [16, 'dhcp'],
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

/** The kernel, the operator and the host's own network configuration use these. */
const hosts: ReadonlySet<number> = new Set([0, 1, 2, 3, 4, 9, 16]);

/** Name of a number, for people. */
export function protocolName(protocol: number): string {
  return names.get(protocol) ?? String(protocol);
}

/** Whether a known program writes this number too: then the number alone proves nothing. */
export function isShared(protocol: number): boolean {
  return names.has(protocol);
}

/** Why a number cannot be ours; undefined when it can. */
export function refusal(protocol: number, other: number): string | undefined {
  if (!Number.isInteger(protocol) || protocol < 1 || protocol > 255) return 'must be a number from 1 to 255';
  if (hosts.has(protocol)) return `is ${protocolName(protocol)}, which marks routes of the host itself`;
  return protocol === other ? 'marks the other kind of our routes already' : undefined;
}

/** The numbers of now, and those before them; a number in use again is former no more. */
export function changeProtocols(
  current: RouteProtocols,
  former: FormerProtocols,
  next: RouteProtocols,
): FormerProtocols {
  const list = (own: OwnProtocol) =>
    [...new Set([...former[own], current[own]])].filter((one) => one !== next.local && one !== next.bgp);
  return { local: list('local'), bgp: list('bgp') };
}
