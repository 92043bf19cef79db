/** The kernel's routes as the plan sees them: ours by destination, and the others. Compares them with desired ones. Pure. */
import type { Hop, KernelRoute, Route } from '../../model/route.ts';
import { type Owner, type Ownership, ownership } from '../../model/route-ownership.ts';

export interface OwnRoute {
  readonly route: KernelRoute;
  readonly owner: Owner;
}

export interface RouteTable {
  /** Our routes by destination. */
  readonly ours: ReadonlyMap<string, readonly OwnRoute[]>;
  /** Routes of other programs. */
  readonly foreign: readonly KernelRoute[];
  /** The same by destination. */
  readonly foreignAt: ReadonlyMap<string, readonly KernelRoute[]>;
}

/** Divides the kernel's routes into ours and others. */
export function divideRoutes(kernel: readonly KernelRoute[], owned: Ownership): RouteTable {
  const ours = new Map<string, OwnRoute[]>();
  const foreignAt = new Map<string, KernelRoute[]>();
  const foreign: KernelRoute[] = [];
  const ownerOf = ownership(owned);
  for (const route of kernel) {
    const owner = ownerOf(route);
    if (owner) push(ours, route.destination, { route, owner });
    else {
      foreign.push(route);
      push(foreignAt, route.destination, route);
    }
  }
  return { ours, foreign, foreignAt };
}

/** Returns routes by destination. */
export function byDestination<T extends { readonly destination: string }>(
  routes: readonly T[],
): ReadonlyMap<string, readonly T[]> {
  const map = new Map<string, T[]>();
  for (const route of routes) push(map, route.destination, route);
  return map;
}

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

/** Whether a prefix is a default route. */
export function isDefault(destination: string): boolean {
  return destination === '0.0.0.0/0' || destination === '::/0';
}

/** Whether a metric is the default: IPv4 shows none for 0, IPv6 shows 1024 (Calico F-012). */
export function isDefaultMetric(metric: number | undefined): boolean {
  return metric === undefined || metric === 0 || metric === 1024;
}

/** Whether a kernel route has the wanted metric; undefined means the kernel's default. */
export function isMetric(wanted: number | undefined, kernel: number | undefined): boolean {
  return isDefaultMetric(wanted) ? isDefaultMetric(kernel) : wanted === kernel;
}

/** Whether a route of ours equals the wanted one, including its protocol number. */
export function isSame(
  route: Route,
  hops: readonly Hop[],
  { route: kernel, owner }: OwnRoute,
  number: number,
): boolean {
  if (owner.protocol !== route.protocol || kernel.protocol !== number) return false;
  return isAlike(route, hops, kernel);
}

/** Whether a route with a former number matches the wanted one in type, metric and at least one next hop. */
export function isAdoptable(route: Route, hops: readonly Hop[], kernel: KernelRoute): boolean {
  if (!isMetric(route.metric, kernel.metric) || kernel.type !== route.type) return false;
  if (route.type === 'blackhole') return true;
  return hops.some(({ gateway, device }) =>
    kernel.hops.some((hop) => hop.gateway === gateway && hop.device === device),
  );
}

/** Whether a kernel route equals the wanted one, regardless of its protocol number. */
export function isAlike(route: Route, hops: readonly Hop[], kernel: KernelRoute): boolean {
  if (
    kernel.type !== route.type ||
    // Ignore a source address that the kernel picked.
    (route.source !== undefined && route.source !== kernel.source) ||
    !isMetric(route.metric, kernel.metric)
  )
    return false;
  if (route.type === 'blackhole') return true;
  const [wanted, ...more] = hops;
  const [present, ...others] = kernel.hops;
  if (wanted && present && more.length + others.length === 0) return isSameHop(wanted, present);
  const text = (list: readonly Hop[]) =>
    list
      .map(({ gateway, device, isOnlink }) => `${gateway ?? ''}%${device ?? ''}${isOnlink ? '!' : ''}`)
      .sort()
      .join();
  return text(hops) === text(kernel.hops);
}

function isSameHop(a: Hop, b: Hop): boolean {
  return a.gateway === b.gateway && a.device === b.device && (a.isOnlink ?? false) === (b.isOnlink ?? false);
}
