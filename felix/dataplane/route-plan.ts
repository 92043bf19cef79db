/**
 * Plans changes to the routing table by comparing the desired with the kernel's routes. Pure. Only our own routes
 * (route-ownership.ts) are changed or removed. A conflicting foreign route is reported and kept.
 */
import type { RouteChange } from '../../kernel/change.ts';
import { mustCidr } from '../../lib/cidr.ts';
import { martianName } from '../../lib/martians.ts';
import type { Hop, KernelRoute, Route } from '../../model/route.ts';
import { formerProtocol, type Ownership } from '../../model/route-ownership.ts';
import { type NextHops, type Resolve, resolver } from './next-hops.ts';
import {
  byDestination,
  divideRoutes,
  isAdoptable,
  isAlike,
  isDefault,
  isDefaultMetric,
  isMetric,
  isSame,
  type OwnRoute,
  type RouteTable,
} from './route-table.ts';

/** Why a desired route is not possible now. */
export interface Obstacle {
  readonly reason: string;
  /** Whether it usually ends within a second. */
  readonly isPassing?: boolean;
}

export interface RoutePlan {
  /** In order. */
  readonly changes: readonly RouteChange[];
  /** Host addresses whose route changed or was removed: their connections must be flushed. */
  readonly moved: readonly string[];
  readonly blocked: readonly ({ readonly destination: string } & Obstacle)[];
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
  /** Next hops that earlier plans resolved. */
  readonly nextHops?: NextHops;
}

/** Plans for all routes. */
export function planRoutes(
  wanted: readonly Route[],
  kernel: readonly KernelRoute[],
  options: PlanOptions,
): RoutePlan {
  return planTable(byDestination(wanted), divideRoutes(kernel, options.ownership), options);
}

/** Plans for some destinations; default: for all. Then `isMigrating` and `left` are complete. */
export function planTable(
  wanted: ReadonlyMap<string, readonly Route[]>,
  table: RouteTable,
  options: PlanOptions,
  destinations?: ReadonlySet<string>,
): RoutePlan {
  const plan = new Planning(wanted, table, options);
  for (const destination of destinations ?? wanted.keys())
    for (const route of wanted.get(destination) ?? []) plan.want(route);
  for (const destination of destinations ?? table.ours.keys())
    for (const own of table.ours.get(destination) ?? []) plan.keepOrRemove(own);
  return plan.result();
}

/** A plan in the making. */
class Planning {
  readonly #table: RouteTable;
  readonly #options: PlanOptions;
  readonly #resolve: Resolve;
  readonly #changes: RouteChange[] = [];
  readonly #moved: string[] = [];
  readonly #blocked: ({ destination: string } & Obstacle)[] = [];
  /** Routes in the kernel that stay or are replaced. */
  readonly #kept = new Set<KernelRoute>();
  #isMigrating = false;

  constructor(wanted: ReadonlyMap<string, readonly Route[]>, table: RouteTable, options: PlanOptions) {
    this.#table = table;
    this.#options = options;
    this.#resolve = resolver(
      [...wanted.values()].flat(),
      table.foreign,
      options.ownAddresses,
      options.nextHops,
    );
  }

  result(): RoutePlan {
    return {
      changes: inOrder(this.#changes),
      moved: this.#moved,
      blocked: this.#blocked,
      isMigrating: this.#isMigrating,
      left: this.#table.foreign.filter((route) => this.#isUnproven(route)),
    };
  }

  /** Plans for a desired route. */
  want(route: Route): void {
    const { destination } = route;
    const refusal = learnedRefusal(route, this.#table, this.#options);
    const hops = refusal === undefined ? hopsFor(route, this.#resolve, this.#options) : { reason: refusal };
    // A learned route without a resolvable next hop is useless. A local one waits for its interface.
    if ('reason' in hops) this.#blocked.push({ destination, ...hops });
    else this.#compare(route, hops);
  }

  #compare(route: Route, hops: readonly Hop[]): void {
    const { destination, type, metric, source } = route;
    const { ownership, keepLearned } = this.#options;
    const present = this.#table.ours.get(destination) ?? [];
    const protocol = ownership.protocols[route.protocol];
    const same = present.find((candidate) => isSame(route, hops, candidate, protocol));
    if (same) {
      this.#kept.add(same.route);
      return;
    }
    const others = this.#table.foreignAt.get(destination) ?? [];
    // A wanted route that exists with a former number is ours too.
    const adopted = others.find((other) => this.#isUnproven(other) && isAdoptable(route, hops, other));
    if (adopted) this.#isMigrating = true;
    const isHeld = adopted || present.some(({ owner }) => owner.protocol === 'bgp');
    const isOfBgp = route.protocol === 'bgp' || route.isFallback;
    if (keepLearned && isOfBgp && isHeld) return;
    const replaced = present.find((candidate) => isMetric(metric, candidate.route.metric))?.route ?? adopted;
    const isTaken = isDefaultMetric(metric) && others.some((other) => isDefaultMetric(other.metric));
    if (!replaced && isTaken) {
      this.#blocked.push({ destination, reason: 'a route of another program has this prefix' });
      return;
    }
    if (replaced) {
      this.#kept.add(replaced);
      // If only the number differs, packets take the same path as before.
      if (isHost(destination) && !isAlike(route, hops, replaced)) this.#moved.push(hostOf(destination));
    }
    const verb = replaced ? 'replace' : 'add';
    this.#changes.push({ object: 'route', verb, destination, type, protocol, metric, source, hops });
  }

  /** Removes a route of ours that no desired route uses. Call after `want`. */
  keepOrRemove({ route, owner }: OwnRoute): void {
    if (owner.isFormer) this.#isMigrating = true;
    if (this.#kept.has(route) || (this.#options.keepLearned && owner.protocol === 'bgp')) return;
    const { destination, protocol, metric } = route;
    const type = route.type === 'blackhole' ? 'blackhole' : 'unicast';
    this.#changes.push({ object: 'route', verb: 'del', destination, type, protocol, metric, hops: [] });
    if (isHost(destination)) this.#moved.push(hostOf(destination));
  }

  /** Whether a route of another program has a former number of ours. */
  #isUnproven({ protocol }: KernelRoute): boolean {
    return formerProtocol(protocol, this.#options.ownership.former) !== undefined;
  }
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

/**
 * Returns why a learned route must not be programmed, whatever import policy accepted: the second line of defence after
 * felix/calc/bgp/kernel-import.ts.
 */
function learnedRefusal(route: Route, { foreignAt }: RouteTable, options: PlanOptions): string | undefined {
  const { destination, protocol } = route;
  const { ownAddresses, mayReplaceDefault } = options;
  if (protocol !== 'bgp') return undefined;
  const martian = martianOf(route);
  if (martian !== undefined) return `learned and martian: ${martian}`;
  if (isHost(destination) && ownAddresses?.has(destination.split('/')[0]!))
    return 'learned, but an address of this node';
  if (!isDefault(destination) || mayReplaceDefault) return undefined;
  // An older version may have learned a route with a former number, so that route can be adopted.
  const isOwnOfHost = ({ type, protocol: number }: KernelRoute) =>
    type === 'unicast' && formerProtocol(number, options.ownership.former) !== 'bgp';
  return foreignAt.get(destination)?.some(isOwnOfHost)
    ? 'learned, but the host has its own default route'
    : undefined;
}

/** Names of martian destinations, because thousands of routes are planned again and again. */
const martians = new WeakMap<Route, { readonly name: string | undefined }>();

function martianOf(route: Route): string | undefined {
  let found = martians.get(route);
  if (!found) {
    found = { name: martianName(mustCidr(route.destination)) };
    martians.set(route, found);
  }
  return found.name;
}

function isHost(destination: string): boolean {
  return destination.endsWith(destination.includes(':') ? '/128' : '/32');
}

function hostOf(destination: string): string {
  return destination.split('/')[0]!;
}

function hopsFor(route: Route, resolve: Resolve, options: PlanOptions): Hop[] | Obstacle {
  if (route.type === 'blackhole') return [];
  if (route.device !== undefined) {
    return options.hasLink(route.device)
      ? [{ gateway: undefined, device: route.device }]
      : missing(route.device);
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
  return tunnel?.device === undefined
    ? { reason: `no route to the next hop ${route.gateways.join(', ')}` }
    : missing(tunnel.device);
}

/** While a pod is added, its endpoint is known shortly before its interface exists. */
function missing(device: string): Obstacle {
  return { reason: `interface ${device} is missing`, isPassing: true };
}
