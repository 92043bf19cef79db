/** What the import policy for the kernel wants to know about this host (felix/calc/bgp/kernel-import.ts). */
import type { HostFacts } from '../felix/calc/bgp/kernel-import.ts';
import type { NodeInfo } from '../felix/calc/topology.ts';
import type { KernelState } from '../felix/dataplane/kernel.ts';
import { formerProtocol, type Ownership, ownership } from '../felix/dataplane/route-ownership.ts';
import { isDefault } from '../felix/dataplane/route-plan.ts';
import { bitsOf, familyOf, formatCidr, mustCidr, networkOf } from '../lib/cidr.ts';
import { martianName } from '../lib/martians.ts';

/** Where kube-proxy keeps the addresses of all services in IPVS mode: they are no addresses of this host alone. */
const SERVICE_INTERFACE = 'kube-ipvs0';

/** Facts from a look at the kernel, sorted; `owned` tells our routes from those of the host. */
export function hostFacts({ addresses, routes }: KernelState, owned: Ownership): HostFacts {
  const own = addresses.filter(({ device }) => device !== SERVICE_INTERFACE).map(({ cidr }) => cidr);
  const ownerOf = ownership(owned);
  const ways = routes
    .filter((route) => route.type === 'unicast' && isDefault(route.destination) && !ownerOf(route))
    // What an older version may have learned must not keep it from being learned again.
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

/** Where other hosts can be neighbours. Host routes and martians, link-local networks among them, are none of these. */
function networksOf(interfaces: readonly string[]): string[] {
  const networks = interfaces
    .map(mustCidr)
    .filter((cidr) => cidr.length < bitsOf(cidr.family) && martianName(cidr) === undefined)
    .map((cidr) => formatCidr(networkOf(cidr)));
  return [...new Set(networks)].sort();
}

/** Before the first look: the host may have default routes, and has the addresses of its Node. */
export function unseenHost(self: NodeInfo): HostFacts {
  const addresses = Object.values(self.addresses);
  return {
    addresses: addresses.map(({ address }) => address).sort(),
    networks: networksOf(addresses.map(({ address, length }) => `${address}/${length}`)),
    defaults: [4, 6],
  };
}
