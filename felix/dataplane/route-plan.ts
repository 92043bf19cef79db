/**
 * Plans changes to the routing table by comparing the desired with the kernel's routes. Pure. Only our own routes
 * (route-ownership.ts) are changed or removed. A conflicting foreign route is reported and kept.
 */
import type { RouteChange } from '../../kernel/change.ts';
import { type Address, type Cidr, contains, mustCidr, networkOf, parseAddress } from '../../lib/cidr.ts';
import { martianName } from '../../lib/martians.ts';
import { isOwnInterface } from '../../model/endpoint.ts';
import type { Hop, KernelRoute, Route } from '../../model/route.ts';
import { formerProtocol, type Owner, type Ownership, ownership } from '../../model/route-ownership.ts';

export interface RoutePlan {
  /** In order. */
  readonly changes: readonly RouteChange[];
  /** Host addresses whose route changed or was removed: their connections must be flushed. */
  readonly moved: readonly string[];
  /** Wanted routes that are not possible now, with the reason. */
  readonly blocked: readonly { readonly destination: string; readonly reason: string }[];
  /** Whether the kernel has routes of ours with a former number. */
  readonly isMigrating: boolean;
  /** Routes with a former number of ours that another program may have written. They are kept. */
  readonly left: readonly KernelRoute[];
}

export interface PlanOptions {
  /** Addresses of this host. */
  readonly ownAddresses?: ReadonlySet<string>;
  /** Whether a learned default route may be added alongside the host's own and take precedence over it. */
  readonly mayReplaceDefault?: boolean;
  /** Whether learned routes in the kernel are kept unchanged, until BGP has converged (RFC 4724). */
  readonly keepLearned: boolean;
  readonly hasLink: (name: string) => boolean;
  readonly ownership: Ownership;
}

export function planRoutes(
  wanted: readonly Route[],
  kernel: readonly KernelRoute[],
  options: PlanOptions,
): RoutePlan {
  const changes: RouteChange[] = [];
  const moved: string[] = [];
  const blocked: { destination: string; reason: string }[] = [];
  const { protocols, former } = options.ownership;
  const { ours, foreign } = divide(kernel, options.ownership);
  const foreignKeys = new Set(
    foreign.filter(({ metric }) => isDefaultMetric(metric)).map(({ destination }) => destination),
  );
  const unproven = foreign.filter(({ protocol }) => formerProtocol(protocol, former) !== undefined);
  let isMigrating = false;
  const kept = new Set<KernelRoute>();
  const resolve = resolver(wanted, foreign, options.ownAddresses);
  for (const route of wanted) {
    const present = ours.get(route.destination) ?? [];
    const refusal = learnedRefusal(route, foreign, options);
    const hops = refusal === undefined ? hopsFor(route, resolve, options) : { reason: refusal };
    if ('reason' in hops) {
      blocked.push({ destination: route.destination, reason: hops.reason });
      // A learned route without a resolvable next hop is useless. A local one waits for its interface.
      continue;
    }
    const same = present.find((candidate) => isSame(route, hops, candidate, protocols[route.protocol]));
    if (same) {
      kept.add(same.route);
      continue;
    }
    // A wanted route that exists with a former number is ours too.
    const adopted = unproven.find(
      (candidate) => candidate.destination === route.destination && isAdoptable(route, hops, candidate),
    );
    if (adopted) isMigrating = true;
    const isHeld = adopted || present.some(({ owner }) => owner.protocol === 'bgp');
    const isOfBgp = route.protocol === 'bgp' || route.isFallback;
    if (options.keepLearned && isOfBgp && isHeld) continue;
    const replaced =
      present.find((candidate) => isMetric(route.metric, candidate.route.metric))?.route ?? adopted;
    if (!replaced && isDefaultMetric(route.metric) && foreignKeys.has(route.destination)) {
      blocked.push({ destination: route.destination, reason: 'a route of another program has this prefix' });
      continue;
    }
    if (replaced) {
      kept.add(replaced);
      // If only the number differs, packets take the same path as before.
      if (isHost(route.destination) && !isAlike(route, hops, replaced))
        moved.push(route.destination.split('/')[0]!);
    }
    const verb = replaced ? 'replace' : 'add';
    const { destination, type, metric, source } = route;
    const protocol = protocols[route.protocol];
    changes.push({ object: 'route', verb, destination, type, protocol, metric, source, hops });
  }
  for (const { route, owner } of [...ours.values()].flat()) {
    if (owner.isFormer) isMigrating = true;
    if (kept.has(route) || (options.keepLearned && owner.protocol === 'bgp')) continue;
    const { destination, protocol, metric } = route;
    const type = route.type === 'blackhole' ? 'blackhole' : 'unicast';
    changes.push({ object: 'route', verb: 'del', destination, type, protocol, metric, hops: [] });
    if (isHost(destination)) moved.push(destination.split('/')[0]!);
  }
  return { changes: inOrder(changes), moved, blocked, isMigrating, left: unproven };
}

/**
 * Removes first, so that a moved address never has two routes at once. But if old and new route can coexist, with
 * different metrics, the new one is added first.
 */
function inOrder(changes: readonly RouteChange[]): RouteChange[] {
  const added = new Set(
    changes
      .filter(({ verb, metric }) => verb === 'add' && metric !== undefined)
      .map(({ destination }) => destination),
  );
  const order = ({ verb, destination }: RouteChange) => (verb !== 'del' ? 1 : added.has(destination) ? 2 : 0);
  return changes.toSorted((a, b) => order(a) - order(b));
}

interface OwnRoute {
  readonly route: KernelRoute;
  readonly owner: Owner;
}

/** Returns our routes by destination, and the others. */
function divide(
  kernel: readonly KernelRoute[],
  owned: Ownership,
): { ours: Map<string, OwnRoute[]>; foreign: KernelRoute[] } {
  const ours = new Map<string, OwnRoute[]>();
  const foreign: KernelRoute[] = [];
  const ownerOf = ownership(owned);
  for (const route of kernel) {
    const owner = ownerOf(route);
    const known = ours.get(route.destination);
    if (!owner) foreign.push(route);
    else if (known) known.push({ route, owner });
    else ours.set(route.destination, [{ route, owner }]);
  }
  return { ours, foreign };
}

/**
 * Returns why a learned route must not be programmed, whatever import policy accepted: the second line of defence after
 * felix/calc/bgp/kernel-import.ts.
 */
function learnedRefusal(
  { destination, protocol }: Route,
  foreign: readonly KernelRoute[],
  options: PlanOptions,
): string | undefined {
  const { ownAddresses, mayReplaceDefault } = options;
  if (protocol !== 'bgp') return undefined;
  const martian = martianName(mustCidr(destination));
  if (martian !== undefined) return `learned and martian: ${martian}`;
  if (isHost(destination) && ownAddresses?.has(destination.split('/')[0]!))
    return 'learned, but an address of this node';
  if (!isDefault(destination) || mayReplaceDefault) return undefined;
  // An older version may have learned a route with a former number, so that route can be adopted.
  const isOwnOfHost = ({ type, protocol: number }: KernelRoute) =>
    type === 'unicast' && formerProtocol(number, options.ownership.former) !== 'bgp';
  return foreign.some((route) => route.destination === destination && isOwnOfHost(route))
    ? 'learned, but the host has its own default route'
    : undefined;
}

/** Whether a prefix is a default route. */
export function isDefault(destination: string): boolean {
  return destination === '0.0.0.0/0' || destination === '::/0';
}

/** Whether a metric is the default: IPv4 shows none for 0, IPv6 shows 1024 (Calico F-012). */
function isDefaultMetric(metric: number | undefined): boolean {
  return metric === undefined || metric === 0 || metric === 1024;
}

/** Whether a kernel route has the wanted metric; undefined means the kernel's default. */
function isMetric(wanted: number | undefined, kernel: number | undefined): boolean {
  return isDefaultMetric(wanted) ? isDefaultMetric(kernel) : wanted === kernel;
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

function isHost(destination: string): boolean {
  return destination.endsWith(destination.includes(':') ? '/128' : '/32');
}

/** Resolves a next hop. Results are cached, because thousands of routes share a few next hops. */
type Resolve = (nextHop: string, mayBePod: boolean) => Hop | undefined;

function resolver(
  wanted: readonly Route[],
  foreign: readonly KernelRoute[],
  ownAddresses: PlanOptions['ownAddresses'],
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

function hopsFor(route: Route, resolve: Resolve, options: PlanOptions): Hop[] | { reason: string } {
  if (route.type === 'blackhole') return [];
  if (route.device !== undefined) {
    return options.hasLink(route.device)
      ? [{ gateway: undefined, device: route.device }]
      : { reason: `interface ${route.device} is missing` };
  }
  const hops: Hop[] = [];
  for (const gateway of route.gateways) {
    const hop = resolve(gateway, route.pods?.includes(gateway) ?? false);
    if (hop && !hops.some((known) => known.gateway === hop.gateway && known.device === hop.device))
      hops.push(hop);
  }
  hops.push(...(route.tunnels ?? []).filter(({ device }) => options.hasLink(device!)));
  if (hops.length > 0) return hops;
  const [tunnel] = route.tunnels ?? [];
  return {
    reason: tunnel
      ? `interface ${tunnel.device} is missing`
      : `no route to the next hop ${route.gateways.join(', ')}`,
  };
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

/** Whether a route of ours equals the wanted one, including its protocol number. */
function isSame(
  route: Route,
  hops: readonly Hop[],
  { route: kernel, owner }: OwnRoute,
  number: number,
): boolean {
  if (owner.protocol !== route.protocol || kernel.protocol !== number) return false;
  return isAlike(route, hops, kernel);
}

/** Whether a route with a former number matches the wanted one in type, metric and at least one next hop. */
function isAdoptable(route: Route, hops: readonly Hop[], kernel: KernelRoute): boolean {
  if (!isMetric(route.metric, kernel.metric) || kernel.type !== route.type) return false;
  if (route.type === 'blackhole') return true;
  return hops.some(({ gateway, device }) =>
    kernel.hops.some((hop) => hop.gateway === gateway && hop.device === device),
  );
}

/** Whether a kernel route equals the wanted one, regardless of its protocol number. */
function isAlike(route: Route, hops: readonly Hop[], kernel: KernelRoute): boolean {
  if (
    kernel.type !== route.type ||
    // Ignore a source address that the kernel picked.
    (route.source !== undefined && route.source !== kernel.source) ||
    !isMetric(route.metric, kernel.metric)
  )
    return false;
  if (route.type === 'blackhole') return true;
  const text = (list: readonly Hop[]) =>
    list
      .map(({ gateway, device, isOnlink }) => `${gateway ?? ''}%${device ?? ''}${isOnlink ? '!' : ''}`)
      .sort()
      .join();
  return text(hops) === text(kernel.hops);
}
