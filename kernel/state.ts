/** Reads the kernel's state with `ip -j`. */
import { existsSync } from 'node:fs';
import { canonicalCidr, type Family, formatAddress, parseAddress } from '../lib/cidr.ts';
import type { KernelRoute } from '../model/route.ts';
import { runQueries } from './ip-batch.ts';
import type { InterfaceAddress, KernelState, Link, Neighbour } from './port.ts';

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

/** Flags of an address (linux/if_addr.h), as `ip -j` shows them: absent when not set. */
export interface AddressFlags {
  readonly tentative?: boolean;
  readonly dadfailed?: boolean;
  readonly temporary?: boolean;
  readonly deprecated?: boolean;
}

/** Converts the flags to properties that matter when choosing an address. */
export function addressState(flags: AddressFlags): Pick<InterfaceAddress, 'isTentative' | 'isFleeting'> {
  const { tentative, dadfailed, temporary, deprecated } = flags;
  return {
    ...(tentative || dadfailed ? { isTentative: true } : {}),
    ...(temporary || deprecated ? { isFleeting: true } : {}),
  };
}

/** Returns the families that this kernel supports. Without IPv6 (ipv6.disable=1), `ip -6` fails. */
export function kernelFamilies(): Family[] {
  return existsSync('/proc/net/if_inet6') ? [4, 6] : [4];
}

/** Reads links, and the addresses, main-table routes and permanent neighbours of the given families. */
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
/** The protocol that iproute2 omits. */
const RTPROT_BOOT = 3;

/** Parses a row of `ip -N -j route show`, in which protocol and type are numbers. */
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

/** Normalizes an address: iproute2 writes some IPv6 addresses, such as `::1.2.3.4`, differently from RFC 5952. */
function canonicalAddress(text: string): string;
function canonicalAddress(text: string | undefined): string | undefined;
function canonicalAddress(text: string | undefined): string | undefined {
  // Only IPv6 addresses with a dotted end differ.
  if (text === undefined || !text.includes('.') || !text.includes(':')) return text;
  const address = parseAddress(text);
  return address ? formatAddress(address) : text;
}
