/** Facts about this host for the kernel's import policy (felix/calc/bgp/kernel-import.ts). */
import type { HostFacts } from '../../felix/calc/bgp/kernel-import.ts';
import { isDefault } from '../../felix/dataplane/route-table.ts';
import type { KernelState } from '../../kernel/port.ts';
import { bitsOf, familyOf, formatCidr, mustCidr, networkOf } from '../../lib/cidr.ts';
import { martianName } from '../../lib/martians.ts';
import type { NodeInfo } from '../../model/node.ts';
import { formerProtocol, type Ownership, ownership } from '../../model/route-ownership.ts';

/** In IPVS mode kube-proxy adds the addresses of all services to this interface. They do not belong to this host. */
const SERVICE_INTERFACE = 'kube-ipvs0';

/** Returns facts from the kernel's state, sorted. `owned` distinguishes our routes from those of the host. */
export function hostFacts({ addresses, routes }: KernelState, owned: Ownership): HostFacts {
  const own = addresses.filter(({ device }) => device !== SERVICE_INTERFACE).map(({ cidr }) => cidr);
  const ownerOf = ownership(owned);
  const ways = routes
    .filter((route) => route.type === 'unicast' && isDefault(route.destination) && !ownerOf(route))
    // Not a route that an older version may have learned: it must not prevent learning that route again.
    .filter(({ protocol }) => formerProtocol(protocol, owned.former) !== 'bgp');
  const defaults = ways.map(({ destination }) => familyOf(destination));
  const gateways = ways.flatMap(({ hops }) => hops.flatMap(({ gateway }) => gateway ?? []));
  return {
    addresses: [...new Set(own.map((cidr) => cidr.split('/')[0]!))].sort(),
    networks: networksOf(own),
    defaults: [...new Set(defaults)].sort((a, b) => a - b),
    gateways: [...new Set(gateways)].sort(),
  };
}

/** Returns networks that can have neighbours: no host routes and no martians, such as link-local networks. */
function networksOf(interfaces: readonly string[]): string[] {
  const networks = interfaces
    .map(mustCidr)
    .filter((cidr) => cidr.length < bitsOf(cidr.family) && martianName(cidr) === undefined)
    .map((cidr) => formatCidr(networkOf(cidr)));
  return [...new Set(networks)].sort();
}

/** Facts before the first check of the kernel: the Node's addresses, and default routes, which the host may have. */
export function unseenHost(self: NodeInfo): HostFacts {
  const addresses = Object.values(self.addresses);
  return {
    addresses: addresses.map(({ address }) => address).sort(),
    networks: networksOf(addresses.map(({ address, length }) => `${address}/${length}`)),
    defaults: [4, 6],
  };
}
