/** What the kernel has, read back by `ip -j`. */
import { existsSync } from 'node:fs';
import { canonicalCidr, type Family, formatAddress, parseAddress } from '../../lib/cidr.ts';
import { runQueries } from './ip-batch.ts';
import type { KernelRoute } from './route.ts';

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly isUp: boolean;
  readonly mac: string;
  readonly mtu: number;
}

export interface Neighbour {
  readonly address: string;
  readonly device: string;
  readonly mac: string;
}

/** An address of an interface, with the length that it has there. */
export interface InterfaceAddress {
  readonly device: string;
  readonly cidr: string;
  /** Of link scope, as we give them to tunl0 (linux/rtnetlink.h RT_SCOPE_LINK). */
  readonly isLinkScope?: boolean;
  /** Duplicate address detection runs, or found a duplicate: nothing is sent from it (RFC 4862 section 5.4). */
  readonly isTentative?: boolean;
  /** Made to be replaced soon: a temporary address, or one past its preferred lifetime (RFC 8981, RFC 4862). */
  readonly isFleeting?: boolean;
}

export interface KernelState {
  readonly routes: readonly KernelRoute[];
  readonly links: ReadonlyMap<string, Link>;
  /** All but the link-local ones that the kernel makes. */
  readonly addresses: readonly InterfaceAddress[];
  /** Permanent entries alone. */
  readonly neighbours: readonly Neighbour[];
}

interface RouteJson {
  dst: string;
  type?: string;
  protocol?: string;
  metric?: number;
  gateway?: string;
  via?: { host: string };
  dev?: string;
  flags?: string[];
  prefsrc?: string;
  nexthops?: HopJson[];
}

type HopJson = Pick<RouteJson, 'gateway' | 'via' | 'dev' | 'flags'>;

interface AddressJson {
  ifname: string;
  addr_info?: ({ local?: string; prefixlen?: number; scope?: string } & AddressFlags)[];
}

/** Flags of an address (linux/if_addr.h), as `ip -j` shows them: absent where they are not set. */
export interface AddressFlags {
  readonly tentative?: boolean;
  readonly dadfailed?: boolean;
  readonly temporary?: boolean;
  readonly deprecated?: boolean;
}

/** What the flags mean to whoever chooses an address. */
export function addressState(flags: AddressFlags): Pick<InterfaceAddress, 'isTentative' | 'isFleeting'> {
  const { tentative, dadfailed, temporary, deprecated } = flags;
  return {
    ...(tentative || dadfailed ? { isTentative: true } : {}),
    ...(temporary || deprecated ? { isFleeting: true } : {}),
  };
}

/** Families that this kernel has: without IPv6 (ipv6.disable=1) `ip -6` fails. */
export function kernelFamilies(): Family[] {
  return existsSync('/proc/net/if_inet6') ? [4, 6] : [4];
}

/** Reads links, and addresses, main-table routes and permanent neighbours of the given families. */
export async function observeKernel(families: readonly Family[]): Promise<KernelState> {
  const routes: KernelRoute[] = [];
  const neighbours: Neighbour[] = [];
  const addresses: InterfaceAddress[] = [];
  const links = new Map<string, Link>();
  const answers = await Promise.all(
    families.map((family) =>
      runQueries(family, ['route show table main', 'neigh show nud permanent', 'link show', 'address show']),
    ),
  );
  answers.forEach(([routeRows, neighbourRows, linkRows, addressRows], i) => {
    for (const row of routeRows as RouteJson[]) routes.push(parseRoute(row, families[i]!));
    for (const { dst, dev, lladdr } of neighbourRows as { dst: string; dev: string; lladdr?: string }[]) {
      if (lladdr) neighbours.push({ address: canonicalAddress(dst), device: dev, mac: lladdr });
    }
    for (const { ifname, addr_info } of addressRows as AddressJson[]) {
      for (const { local, prefixlen, scope, ...flags } of addr_info ?? [])
        if (local && !local.startsWith('fe80:'))
          addresses.push({
            device: ifname,
            cidr: `${canonicalAddress(local)}/${prefixlen}`,
            ...(scope === RT_SCOPE_LINK ? { isLinkScope: true } : {}),
            ...addressState(flags),
          });
    }
    for (const link of linkRows as {
      ifindex: number;
      ifname: string;
      flags: string[];
      address?: string;
      mtu: number;
    }[]) {
      links.set(link.ifname, {
        index: link.ifindex,
        name: link.ifname,
        isUp: link.flags.includes('UP'),
        mac: link.address ?? '',
        mtu: link.mtu,
      });
    }
  });
  return { routes, links, addresses, neighbours };
}

/** Names of linux/rtnetlink.h RTN_*, by number. */
const routeTypes = [
  'unspec',
  'unicast',
  'local',
  'broadcast',
  'anycast',
  'multicast',
  'blackhole',
  'unreachable',
  'prohibit',
  'throw',
  'nat',
];
const RT_SCOPE_LINK = '253';
/** What iproute2 leaves out. */
const RTPROT_BOOT = 3;

/** One row of `ip -N -j route show`: protocol and type are numbers. */
export function parseRoute(row: RouteJson, family: Family): KernelRoute {
  const type = routeTypes[Number(row.type)] ?? row.type ?? 'unicast';
  const hop = ({ gateway, via, dev, flags }: HopJson) => ({
    gateway: canonicalAddress(gateway ?? via?.host),
    device: dev,
    ...(flags?.includes('onlink') ? { isOnlink: true } : {}),
  });
  return {
    destination:
      row.dst === 'default' ? (family === 4 ? '0.0.0.0/0' : '::/0') : (canonicalCidr(row.dst) ?? row.dst),
    type,
    protocol: Number(row.protocol ?? RTPROT_BOOT),
    metric: row.metric,
    ...(row.prefsrc === undefined ? {} : { source: canonicalAddress(row.prefsrc) }),
    hops: type === 'blackhole' ? [] : row.nexthops ? row.nexthops.map(hop) : [hop(row)],
  };
}

/** One spelling: the kernel's tools write some IPv6 addresses, such as `::1.2.3.4`, otherwise than RFC 5952 has it. */
function canonicalAddress(text: string): string;
function canonicalAddress(text: string | undefined): string | undefined;
function canonicalAddress(text: string | undefined): string | undefined {
  // Only an IPv6 address with a dotted end has more than one spelling there.
  if (text === undefined || !text.includes('.') || !text.includes(':')) return text;
  const address = parseAddress(text);
  return address ? formatAddress(address) : text;
}
