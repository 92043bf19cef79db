/** Reads the kernel through `ip -j` and `bridge -j`: independent of the netlink codec that it checks. */
import { execFileSync } from 'node:child_process';
import type { KernelState, Link, LinkAddress, VxlanState } from '../../kernel/port.ts';
import { canonicalCidr, type Family, formatAddress, parseAddress } from '../../lib/cidr.ts';
import type { KernelRoute } from '../../model/route.ts';

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

interface LinkJson {
  ifindex: number;
  ifname: string;
  flags: string[];
  address?: string;
  mtu: number;
  linkinfo?: { info_data?: { id?: number; port?: number; local?: string; local6?: string } };
  addr_info?: AddressJson[];
}

interface AddressJson {
  local?: string;
  prefixlen?: number;
  scope?: string;
  tentative?: boolean;
  dadfailed?: boolean;
  temporary?: boolean;
  deprecated?: boolean;
}

/** Reads what Kernel.observe reads, in a namespace of `ip netns`. */
export function observeByIp(netns: string, families: readonly Family[]): KernelState {
  const links = query<LinkJson>(netns, 'link show');
  return {
    links: new Map(links.map((link) => [link.ifname, linkOf(link)])),
    addresses: families.flatMap((family) =>
      query<LinkJson>(netns, `-${family} address show`).flatMap(({ ifname, addr_info = [] }) =>
        addr_info
          .filter(({ local }) => local !== undefined && !local.startsWith('fe80:'))
          .map((address) => ({
            device: ifname,
            cidr: `${canonicalAddress(address.local ?? '')}/${address.prefixlen}`,
            ...(address.scope === RT_SCOPE_LINK ? { isLinkScope: true } : {}),
            ...addressState(address),
          })),
      ),
    ),
    routes: families.flatMap((family) =>
      query<RouteJson>(netns, `-${family} route show table main`).map((row) => parseRoute(row, family)),
    ),
    neighbours: families.flatMap((family) =>
      query<{ dst: string; dev: string; lladdr?: string }>(
        netns,
        `-${family} neigh show nud permanent`,
      ).flatMap(({ dst, dev, lladdr }) =>
        lladdr ? [{ address: canonicalAddress(dst), device: dev, mac: lladdr }] : [],
      ),
    ),
  };
}

/** Reads what Kernel.readAddresses reads. */
export function addressesByIp(netns: string): LinkAddress[] {
  const names: Readonly<Record<string, string>> = { '0': 'global', [RT_SCOPE_LINK]: 'link', '254': 'host' };
  return query<LinkJson>(netns, 'address show').flatMap(({ ifname, flags, mtu, addr_info = [] }) =>
    addr_info.map((address) => ({
      device: ifname,
      isUp: flags.includes('UP'),
      mtu,
      cidr: `${canonicalAddress(address.local ?? '')}/${address.prefixlen}`,
      scope: names[address.scope ?? ''] ?? '',
      ...addressState(address),
    })),
  );
}

/** Reads what Kernel.readVxlans reads. */
export function vxlansByIp(netns: string): Map<string, VxlanState> {
  return new Map(
    query<LinkJson>(netns, '-d link show type vxlan').map(({ ifname, linkinfo }) => {
      const { id = 0, port = 0, local, local6 } = linkinfo?.info_data ?? {};
      return [ifname, { vni: id, port, local: local ?? local6 ?? '' }];
    }),
  );
}

/** Reads what Kernel.readForwarding reads. */
export function forwardingByBridge(netns: string, device: string): Map<string, string> {
  const text = execFileSync('bridge', ['-n', netns, '-j', 'fdb', 'show', 'dev', device], {
    encoding: 'utf8',
  });
  const rows = JSON.parse(text || '[]') as { mac: string; dst?: string; state?: string }[];
  return new Map(rows.flatMap(({ mac, dst, state }) => (dst && state === 'permanent' ? [[mac, dst]] : [])));
}

/** Runs a query with numbers instead of names, which the host can change in /etc/iproute2. */
function query<T>(netns: string, args: string): T[] {
  const text = execFileSync('ip', ['-n', netns, '-N', '-j', ...args.split(' ')], { encoding: 'utf8' });
  return JSON.parse(text || '[]') as T[];
}

function linkOf({ ifindex, ifname, flags, address, mtu }: LinkJson): Link {
  return { index: ifindex, name: ifname, isUp: flags.includes('UP'), mac: address ?? '', mtu };
}

function addressState({ tentative, dadfailed, temporary, deprecated }: AddressJson) {
  return {
    ...(tentative || dadfailed ? { isTentative: true } : {}),
    ...(temporary || deprecated ? { isFleeting: true } : {}),
  };
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
    gateway: optionalAddress(gateway ?? via?.host),
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

function optionalAddress(text: string | undefined): string | undefined {
  return text === undefined ? undefined : canonicalAddress(text);
}

/** Normalizes an address: iproute2 writes some IPv6 addresses, such as `::1.2.3.4`, differently from RFC 5952. */
function canonicalAddress(text: string): string {
  // Only IPv6 addresses with a dotted end differ.
  if (!text.includes('.') || !text.includes(':')) return text;
  const address = parseAddress(text);
  return address ? formatAddress(address) : text;
}
