/**
 * Changes to kernel objects as values: plans are made of them, the kernel is given them, and errors name them. As text
 * they have iproute2's syntax (renderChange), for logs, tests and people.
 */

import { familyOf } from '../lib/cidr.ts';
import type { Hop } from '../model/route.ts';

export type KernelChange = RouteChange | NeighbourChange | AddressChange | LinkChange | ForwardingChange;

/** A route of the main table. */
export interface RouteChange {
  readonly object: 'route';
  readonly verb: 'add' | 'replace' | 'del';
  /** Canonical prefix text. */
  readonly destination: string;
  readonly type: 'unicast' | 'blackhole';
  /** Protocol number (linux/rtnetlink.h RTPROT_*). */
  readonly protocol: number;
  /** Undefined: the kernel's default. */
  readonly metric?: number | undefined;
  readonly source?: string | undefined;
  /** Next hops; none for a blackhole, and none needed to delete. */
  readonly hops: readonly Hop[];
}

/** A permanent neighbour. */
export interface NeighbourChange {
  readonly object: 'neighbour';
  readonly verb: 'replace' | 'del';
  readonly address: string;
  readonly device: string;
  /** Needed to replace. */
  readonly mac?: string | undefined;
}

export interface AddressChange {
  readonly object: 'address';
  readonly verb: 'add' | 'del';
  /** Address with the prefix length of its subnet. */
  readonly cidr: string;
  readonly device: string;
  /** IPv4: the kernel uses it as the source only where a route says so (RT_SCOPE_LINK). */
  readonly isLinkScope?: boolean;
  /** IPv6: without duplicate address detection (IFA_F_NODAD). */
  readonly hasNoDad?: boolean;
  /** IPv6: past its preferred lifetime, so that it is not chosen as a source (RFC 6724 rule 3). */
  readonly isDeprecated?: boolean;
}

export type LinkChange = LinkAddition | LinkUpdate | LinkRemoval;

export interface LinkAddition {
  readonly object: 'link';
  readonly verb: 'add';
  readonly name: string;
  /** Undefined: the kernel chooses. */
  readonly index?: number | undefined;
  readonly mac?: string | undefined;
  readonly mtu?: number | undefined;
  readonly kind:
    | { readonly type: 'ipip' }
    | { readonly type: 'vxlan'; readonly vni: number; readonly port: number; readonly local: string }
    | { readonly type: 'veth'; readonly peer: VethPeer };
}

/** The other end of a veth pair, which is created in another network namespace. */
export interface VethPeer {
  readonly name: string;
  /** Undefined: the kernel chooses. Ignored unless the link's own index is chosen too. */
  readonly index?: number | undefined;
  readonly mac: string;
  readonly mtu: number;
  /** Path of the namespace's file. */
  readonly netns: string;
}

export interface LinkUpdate {
  readonly object: 'link';
  readonly verb: 'set';
  readonly name: string;
  readonly mtu?: number | undefined;
  readonly mac?: string | undefined;
  readonly isUp?: boolean | undefined;
}

export interface LinkRemoval {
  readonly object: 'link';
  readonly verb: 'del';
  readonly name: string;
}

/** A permanent forwarding entry of a VXLAN device: packets to the MAC go to the node. */
export interface ForwardingChange {
  readonly object: 'forwarding';
  readonly verb: 'replace' | 'del';
  readonly mac: string;
  readonly device: string;
  /** Address of the remote node: the outer destination. */
  readonly node: string;
}

/** A change that the kernel refused. */
export interface ChangeError {
  readonly change: KernelChange;
  /** Name of the error number, such as `EEXIST`; undefined when only a message is known. */
  readonly code: string | undefined;
  /** The kernel's explanation. */
  readonly message: string;
}

/** Returns the change in iproute2's syntax: arguments of `ip`, or of `bridge` for a forwarding entry. */
export function renderChange(change: KernelChange): string {
  switch (change.object) {
    case 'route':
      return renderRoute(change);
    case 'neighbour':
      return change.verb === 'del'
        ? `neigh del ${change.address} dev ${change.device}`
        : `neigh replace ${change.address} lladdr ${change.mac} dev ${change.device} nud permanent`;
    case 'address':
      return words('address', change.verb, change.cidr, 'dev', change.device, addressFlags(change));
    case 'link':
      return renderLink(change);
    case 'forwarding':
      return words(
        ...['fdb', change.verb, change.mac, 'dev', change.device, 'dst', change.node, 'self'],
        change.verb === 'replace' && 'permanent',
      );
  }
}

/** Identifies the object of a change: `route 10.0.0.0/26`, `neighbour fd00::1 cali123`, `link vxlan.cali`. */
export function objectOf(change: KernelChange): string {
  switch (change.object) {
    case 'route':
      return `route ${change.destination}`;
    case 'neighbour':
      return `neighbour ${change.address} ${change.device}`;
    case 'address':
      return `address ${change.cidr} ${change.device}`;
    case 'link':
      return `link ${change.name}`;
    case 'forwarding':
      return `forwarding ${change.mac} ${change.device}`;
  }
}

/** Returns the interfaces that a change names. A route's deletion names none. */
export function devicesOf(change: KernelChange): string[] {
  if (change.object === 'link') return [change.name];
  return change.object === 'route' ? change.hops.flatMap(({ device }) => device ?? []) : [change.device];
}

function renderRoute({ verb, destination, type, protocol, metric, source, hops }: RouteChange): string {
  const tail = words(
    ...['proto', String(protocol)],
    metric !== undefined && `metric ${metric}`,
    source !== undefined && `src ${source}`,
  );
  if (type === 'blackhole') return `route ${verb} blackhole ${destination} ${tail}`;
  if (verb === 'del') return `route del ${destination} ${tail}`;
  const [first, ...more] = hops;
  if (!first || more.length > 0)
    return words(
      ...['route', verb, destination, tail],
      ...hops.map((hop) => `nexthop ${hopArguments(hop, destination)}`),
    );
  const scope = first.gateway === undefined && familyOf(destination) === 4 && 'scope link';
  return words('route', verb, destination, hopArguments(first, destination), scope, tail);
}

/** Returns `via 10.0.0.1 dev eth0`. */
function hopArguments({ gateway, device, isOnlink }: Hop, destination: string): string {
  // An IPv4 route through an IPv6 next hop (RFC 8950).
  const family = gateway && familyOf(gateway) !== familyOf(destination) ? 'inet6 ' : '';
  return [gateway && `via ${family}${gateway}`, device && `dev ${device}`, isOnlink && 'onlink']
    .filter(Boolean)
    .join(' ');
}

function addressFlags({ hasNoDad, isDeprecated, isLinkScope }: AddressChange): string {
  return words(hasNoDad && 'nodad', isDeprecated && 'preferred_lft 0', isLinkScope && 'scope link');
}

function renderLink(change: LinkChange): string {
  const { name } = change;
  if (change.verb === 'del') return `link del dev ${name}`;
  const { mac, mtu } = change;
  if (change.verb === 'set')
    return words(
      `link set dev ${name}`,
      mac !== undefined && `address ${mac}`,
      mtu !== undefined && `mtu ${mtu}`,
      change.isUp !== undefined && (change.isUp ? 'up' : 'down'),
    );
  return words(
    `link add name ${name}`,
    change.index !== undefined && `index ${change.index}`,
    mac !== undefined && `address ${mac}`,
    mtu !== undefined && `mtu ${mtu}`,
    renderKind(change.kind),
  );
}

function renderKind(kind: LinkAddition['kind']): string {
  switch (kind.type) {
    case 'ipip':
      return 'type ipip';
    case 'vxlan':
      return `type vxlan id ${kind.vni} dstport ${kind.port} local ${kind.local} nolearning`;
    case 'veth': {
      const { name, index, mac, mtu, netns } = kind.peer;
      return words(
        `type veth peer name ${name}`,
        index !== undefined && `index ${index}`,
        `address ${mac} mtu ${mtu} netns ${netns}`,
      );
    }
  }
}

/** Joins the words that are present. */
function words(...list: readonly (string | false | undefined)[]): string {
  return list.filter(Boolean).join(' ');
}
