/** Resolves next hops over the kernel's other routes and the routes to this node's pods. Pure. */
import { type Address, type Cidr, contains, mustCidr, parseAddress } from '../../lib/cidr.ts';
import { isOwnInterface } from '../../model/endpoint.ts';
import type { Hop, KernelRoute, Route } from '../../model/route.ts';
import { LongestPrefix } from './longest-prefix.ts';

/** Resolves a next hop. Results are cached, because thousands of routes share a few next hops. */
export type Resolve = (nextHop: string, mayBePod: boolean) => Hop | undefined;

/** `ownAddresses`: addresses of this host. `memory`: reuses results of earlier calls. */
export function resolver(
  wanted: readonly Route[],
  foreign: readonly KernelRoute[],
  ownAddresses: ReadonlySet<string> | undefined,
  memory = new NextHops(),
): Resolve {
  memory.update(
    foreign,
    wanted.filter(({ protocol, gateways }) => protocol === 'local' && gateways.length > 0),
  );
  /** Host prefixes of this node's pods, which can be next hops. */
  const pods = new Map<string, string>();
  for (const { destination, device } of wanted) if (device) pods.set(destination, device);
  return (nextHop, mayBePod) => {
    const device =
      pods.size === 0 ? undefined : pods.get(`${nextHop}${nextHop.includes(':') ? '/128' : '/32'}`);
    // Only the pod itself may attract traffic to it: else a peer could redirect any packets to the pod.
    if (device !== undefined) return mayBePod ? { gateway: nextHop, device } : undefined;
    // The kernel refuses the host's own address as gateway.
    if (ownAddresses?.has(nextHop)) return undefined;
    return memory.resolve(nextHop);
  };
}

/** Next hops resolved over the kernel's other routes and our static routes, until one of these changes. */
export class NextHops {
  #foreign: readonly KernelRoute[] = [];
  #statics: readonly Route[] = [];
  #ways = new Ways([]);
  #known = new Map<string, Hop | undefined>();

  /** `statics`: our static routes through a gateway (reachableBy). */
  update(foreign: readonly KernelRoute[], statics: readonly Route[]): void {
    if (isSameList(foreign, this.#foreign) && isSameList(statics, this.#statics)) return;
    this.#foreign = foreign;
    this.#statics = statics;
    this.#ways = new Ways(foreign);
    if (statics.length > 0) this.#ways = new Ways([...foreign, ...staticWays(statics, this.#ways)]);
    this.#known = new Map();
  }

  resolve(nextHop: string): Hop | undefined {
    const known = this.#known.get(nextHop);
    if (known || this.#known.has(nextHop)) return known;
    const hop = this.#ways.resolve(nextHop);
    this.#known.set(nextHop, hop);
    return hop;
  }
}

/** Whether two lists hold the same objects. */
function isSameList<T extends object>(a: readonly T[], b: readonly T[]): boolean {
  return a === b || (a.length === b.length && a.every((one, i) => one === b[i]));
}

/** Returns static routes for resolving next hops. */
function staticWays(statics: readonly Route[], foreign: Ways): KernelRoute[] {
  return statics.map(({ destination, gateways }) => ({
    destination,
    type: 'unicast',
    protocol: 0,
    metric: undefined,
    hops: gateways.flatMap((gateway) => foreign.resolve(gateway) ?? []),
  }));
}

/** See Ways.resolve. */
export function resolveNextHop(nextHop: string, routes: readonly KernelRoute[]): Hop | undefined {
  return new Ways(routes).resolve(nextHop);
}

/** Routes that lead to next hops. */
class Ways {
  readonly #routes: readonly KernelRoute[];
  readonly #prefixes: LongestPrefix;

  constructor(routes: readonly KernelRoute[]) {
    this.#routes = routes;
    this.#prefixes = new LongestPrefix(routes.filter(({ type }) => type === 'unicast'));
  }

  /**
   * Resolves a next hop recursively (RFC 4271 section 5.1.3) over the kernel's other routes: directly when it is on a
   * link, else through the gateway of its route. Undefined when no route leads there.
   */
  resolve(nextHop: string): Hop | undefined {
    const [text, zone] = nextHop.split('%');
    // A link-local next hop can name its link (RFC 8950, unnumbered peers).
    if (zone !== undefined) return { gateway: text, device: zone };
    const address = parseAddress(nextHop);
    if (!address) return undefined;
    if (contains(linkLocal, address)) return linkLocalHop(nextHop, this.#routes);
    const best = this.#prefixes.find(address);
    const hop = best?.route.hops[0];
    if (best && hop?.gateway === undefined && isEdge(best.network, address)) return undefined;
    return hop && { gateway: hop.gateway ?? nextHop, device: hop.device };
  }
}

/** Whether an address is the network or broadcast address of an IPv4 network without host bits. The kernel refuses such a gateway. */
function isEdge(network: Cidr, { value }: Address): boolean {
  if (network.family === 6 || network.length >= 31) return false;
  const first = network.value;
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
