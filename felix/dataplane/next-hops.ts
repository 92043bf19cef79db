/** Resolves next hops over the kernel's other routes and the routes to this node's pods. Pure. */
import { type Address, type Cidr, contains, mustCidr, networkOf, parseAddress } from '../../lib/cidr.ts';
import { isOwnInterface } from '../../model/endpoint.ts';
import type { Hop, KernelRoute, Route } from '../../model/route.ts';

/** Resolves a next hop. Results are cached, because thousands of routes share a few next hops. */
export type Resolve = (nextHop: string, mayBePod: boolean) => Hop | undefined;

/** `ownAddresses`: addresses of this host. */
export function resolver(
  wanted: readonly Route[],
  foreign: readonly KernelRoute[],
  ownAddresses: ReadonlySet<string> | undefined,
): Resolve {
  const ways = [...foreign, ...staticWays(wanted, foreign)];
  /** Host prefixes of this node's pods, which can be next hops. */
  const pods = new Map(wanted.flatMap(({ destination, device }) => (device ? [[destination, device]] : [])));
  const known = new Map<string, Hop | undefined>();
  return (nextHop, mayBePod) => {
    const device = pods.get(`${nextHop}${nextHop.includes(':') ? '/128' : '/32'}`);
    // Only the pod itself may attract traffic to it: else a peer could redirect any packets to the pod.
    if (device !== undefined) return mayBePod ? { gateway: nextHop, device } : undefined;
    // The kernel refuses the host's own address as gateway.
    if (ownAddresses?.has(nextHop)) return undefined;
    if (known.has(nextHop)) return known.get(nextHop);
    const hop = resolveNextHop(nextHop, ways);
    known.set(nextHop, hop);
    return hop;
  };
}

/** Returns our static routes through a gateway (reachableBy), for resolving next hops. */
function staticWays(wanted: readonly Route[], foreign: readonly KernelRoute[]): KernelRoute[] {
  return wanted
    .filter(({ protocol, gateways }) => protocol === 'local' && gateways.length > 0)
    .map(({ destination, gateways }) => ({
      destination,
      type: 'unicast',
      protocol: 0,
      metric: undefined,
      hops: gateways.flatMap((gateway) => resolveNextHop(gateway, foreign) ?? []),
    }));
}

/**
 * Resolves a next hop recursively (RFC 4271 section 5.1.3) over the kernel's other routes: directly when it is on a
 * link, else through the gateway of its route. Undefined when no route leads there.
 */
export function resolveNextHop(nextHop: string, foreign: readonly KernelRoute[]): Hop | undefined {
  const [text, zone] = nextHop.split('%');
  // A link-local next hop can name its link (RFC 8950, unnumbered peers).
  if (zone !== undefined) return { gateway: text, device: zone };
  const address = parseAddress(nextHop);
  if (!address) return undefined;
  if (contains(linkLocal, address)) return linkLocalHop(nextHop, foreign);
  let best: KernelRoute | undefined;
  let bestLength = -1;
  let network: Cidr | undefined;
  for (const route of foreign) {
    if (route.type !== 'unicast') continue;
    const cidr = mustCidr(route.destination);
    if (cidr.length > bestLength && contains(cidr, address)) {
      best = route;
      bestLength = cidr.length;
      network = cidr;
    }
  }
  const hop = best?.hops[0];
  if (network && hop?.gateway === undefined && isEdge(network, address)) return undefined;
  return hop && { gateway: hop.gateway ?? nextHop, device: hop.device };
}

/** Whether an address is the network or broadcast address of an IPv4 network. The kernel refuses such a gateway. */
function isEdge(network: Cidr, { value }: Address): boolean {
  if (network.family === 6 || network.length >= 31) return false;
  const first = networkOf(network).value;
  return value === first || value === first + (1n << BigInt(32 - network.length)) - 1n;
}

const linkLocal = mustCidr('fe80::/10');

/** Resolves a link-local next hop without a link, which requires exactly one link other than those of pods. */
function linkLocalHop(nextHop: string, foreign: readonly KernelRoute[]): Hop | undefined {
  const links = foreign
    .filter(({ destination }) => destination === 'fe80::/64')
    .flatMap(({ hops }) => hops.flatMap(({ device }) => device ?? []))
    .filter((device) => !isOwnInterface(device));
  const [device, ...others] = new Set(links);
  return device !== undefined && others.length === 0 ? { gateway: nextHop, device } : undefined;
}
