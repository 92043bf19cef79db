/** Plans a pod's network as changes, on the host and inside the pod (Calico reference 4.3). Pure. */
import type { KernelChange, LinkAddition, RouteChange } from '../kernel/change.ts';
import { type Family, familyOf, hostCidr } from '../lib/cidr.ts';
import { type Endpoint, HOST_LINK_LOCAL, HOST_MAC, IPV4_GATEWAY } from '../model/endpoint.ts';
import type { Hop } from '../model/route.ts';
import { interfaceSysctls, type Sysctl } from '../model/sysctls.ts';

/** An endpoint before its addresses are assigned. */
export type Wiring = Omit<Endpoint, 'addresses'>;

/** The protocol of routes inside pods: that of a route without one (linux/rtnetlink.h RTPROT_BOOT). */
const RTPROT_BOOT = 3;
const DEFAULT_ROUTE: Readonly<Record<Family, string>> = { 4: '0.0.0.0/0', 6: '::/0' };

/** Index of the loopback interface of every namespace (net/loopback.h LOOPBACK_IFINDEX). */
const LOOPBACK_INDEX = 1;

/** Creates the pair and sets the host's side up. The caller chooses the indexes, which saves queries for them. */
export function pairChanges(wiring: Wiring, index: number): readonly KernelChange[] {
  const { interfaceName: name, containerInterface, mac, mtu, netns } = wiring;
  const addition: LinkAddition = {
    object: 'link',
    verb: 'add',
    name,
    index,
    mac: HOST_MAC,
    mtu,
    kind: { type: 'veth', peer: { name: containerInterface, index: peerIndex(index), mac, mtu, netns } },
  };
  return [addition, { object: 'link', verb: 'set', name, isUp: true }];
}

/** Returns indexes by name inside the pod, for the host side's index. */
export function insideIndexes({ containerInterface }: Wiring, index: number): ReadonlyMap<string, number> {
  return new Map([
    ['lo', LOOPBACK_INDEX],
    [containerInterface, peerIndex(index)],
  ]);
}

/** Differs from the host side's index: programs take an interface whose link has its own index for one without a peer. */
function peerIndex(index: number): number {
  return index ^ 1;
}

/** Returns sysctls for the host's side. Set early, they apply to the first packet, and no address is tentative (DAD). */
export function hostSysctls(interfaceName: string, families: readonly Family[]): readonly Sysctl[] {
  const v6 = `net/ipv6/conf/${interfaceName}`;
  const early = families.includes(6)
    ? [
        { path: `${v6}/disable_ipv6`, value: '0' },
        { path: `${v6}/accept_dad`, value: '0' },
      ]
    : [];
  return [...early, ...interfaceSysctls(interfaceName, families)];
}

/** Returns a permanent neighbour and a route per address. The routes do not replace others. */
export function hostChanges(
  { interfaceName: device, mac }: Wiring,
  addresses: readonly string[],
  protocol: number,
): readonly KernelChange[] {
  return [
    ...addresses.map(
      (address): KernelChange => ({ object: 'neighbour', verb: 'replace', address, device, mac }),
    ),
    ...addresses.map((address) =>
      unicast(hostCidr(address), { gateway: undefined, device }, protocol, 'add'),
    ),
  ];
}

/** Returns addresses and routes inside the pod. */
export function insideChanges(
  { containerInterface: device }: Wiring,
  addresses: readonly string[],
): readonly KernelChange[] {
  const families = new Set(addresses.map(familyOf));
  return [
    { object: 'link', verb: 'set', name: 'lo', isUp: true },
    ...addresses.map(
      (address): KernelChange => ({
        object: 'address',
        verb: 'add',
        cidr: hostCidr(address),
        device,
        ...(familyOf(address) === 6 ? { hasNoDad: true } : {}),
      }),
    ),
    { object: 'link', verb: 'set', name: device, isUp: true },
    ...(families.has(4) ? insideRoutes(4, device) : []),
    ...(families.has(6) ? insideRoutes(6, device) : []),
  ];
}

function insideRoutes(family: Family, device: string): RouteChange[] {
  const gateway = family === 4 ? IPV4_GATEWAY : HOST_LINK_LOCAL;
  const toGateway = unicast(hostCidr(IPV4_GATEWAY), { gateway: undefined, device }, RTPROT_BOOT, 'add');
  const byDefault = unicast(DEFAULT_ROUTE[family], { gateway, device }, RTPROT_BOOT, 'add');
  return family === 4 ? [toGateway, byDefault] : [byDefault];
}

function unicast(destination: string, hop: Hop, protocol: number, verb: RouteChange['verb']): RouteChange {
  return { object: 'route', verb, destination, type: 'unicast', protocol, hops: [hop] };
}
