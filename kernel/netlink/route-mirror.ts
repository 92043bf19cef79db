/**
 * A copy of the main routing table, kept current by notifications. Pure. The kernel does not notify of everything: when
 * it is unclear what the table contains, `isCertain` becomes false, and a dump must be loaded.
 */
import type { Hop, KernelRoute } from '../../model/route.ts';

/** What a notification reports. `replaced`: the kernel put the route in the place of another (NLM_F_REPLACE). */
export type RouteEvent = 'new' | 'replaced' | 'gone';

const NONE: readonly KernelRoute[] = [];

export class RouteMirror {
  readonly #routes = new Map<string, readonly KernelRoute[]>();
  /** Destinations with an IPv4 route through a device. */
  readonly #through = new Map<string, Set<string>>();
  #changed = new Set<string>();
  #isCertain = false;

  /** Whether the copy equals the kernel's table once all notifications were read. */
  get isCertain(): boolean {
    return this.#isCertain;
  }

  /** The routes by destination, in the kernel's order as far as it is known. */
  get all(): ReadonlyMap<string, readonly KernelRoute[]> {
    return this.#routes;
  }

  /** The routes to a destination: several if their metrics differ. */
  at(destination: string): readonly KernelRoute[] {
    return this.#routes.get(destination) ?? NONE;
  }

  /** Returns destinations whose routes changed since the last call. */
  takeChanged(): ReadonlySet<string> {
    const changed = this.#changed;
    this.#changed = new Set();
    return changed;
  }

  /**
   * Replaces everything by a dump. Returns the number of destinations that differ, which notifications missed. Those
   * count as changed.
   */
  load(routes: readonly KernelRoute[]): number {
    const next = new Map<string, KernelRoute[]>();
    for (const route of routes) {
      const list = next.get(route.destination);
      if (list) list.push(route);
      else next.set(route.destination, [route]);
    }
    let missed = 0;
    for (const destination of [...this.#routes.keys()])
      if (!next.has(destination)) {
        this.#set(destination, NONE);
        missed++;
      }
    for (const [destination, list] of next) {
      if (isSameList(this.at(destination), list)) continue;
      this.#set(destination, list);
      missed++;
    }
    this.#isCertain = true;
    return missed;
  }

  /** Applies a notification. Repeating one that a dump already contained has no effect. */
  apply(route: KernelRoute, event: RouteEvent): void {
    const present = this.at(route.destination);
    const next =
      event === 'gone'
        ? this.#without(present, route)
        : event === 'replaced'
          ? replace(present, route)
          : this.#with(present, route);
    if (next !== present) this.#set(route.destination, next);
  }

  /**
   * A device is down or gone: the kernel has removed the IPv4 routes whose only next hop is there, without
   * notifications. It notifies of IPv6 routes.
   */
  loseDevice(device: string): void {
    for (const destination of [...(this.#through.get(device) ?? [])]) {
      const present = this.at(destination);
      const left = present.filter(({ hops }) => hops.length !== 1 || hops[0]?.device !== device);
      // What remains of a route with several next hops is not known.
      if (left.some(({ hops }) => hops.some((hop) => hop.device === device))) this.doubt();
      if (left.length < present.length) this.#set(destination, left);
    }
  }

  /** Something happened whose effect on the table is unknown, such as the removal of an address. */
  doubt(): void {
    this.#isCertain = false;
  }

  #with(present: readonly KernelRoute[], added: KernelRoute): readonly KernelRoute[] {
    if (present.some((one) => isSame(one, added))) return present;
    // IPv6 reports a further next hop as a route that has all of them.
    const at = present.findIndex((one) => isGrown(one, added));
    if (at < 0) return [...present, added];
    // Next hops of one route can have different protocols: which one a dump shows is unclear.
    if (present[at]?.protocol !== added.protocol) this.doubt();
    return present.with(at, added);
  }

  #without(present: readonly KernelRoute[], gone: KernelRoute): readonly KernelRoute[] {
    const exact = present.findIndex((route) => isSame(route, gone));
    const at = exact >= 0 ? exact : present.findIndex((route) => route.metric === gone.metric);
    const found = present[at];
    if (!found) return present;
    // The kernel removed one next hop of several, or a route that differs from the one we know.
    if (exact < 0) this.doubt();
    return present.toSpliced(at, 1);
  }

  #set(destination: string, routes: readonly KernelRoute[]): void {
    this.#changed.add(destination);
    if (!destination.includes(':')) {
      for (const device of devicesOf(this.at(destination))) this.#through.get(device)?.delete(destination);
      for (const device of devicesOf(routes)) {
        const destinations = this.#through.get(device);
        if (destinations) destinations.add(destination);
        else this.#through.set(device, new Set([destination]));
      }
    }
    if (routes.length > 0) this.#routes.set(destination, routes);
    else this.#routes.delete(destination);
  }
}

function replace(present: readonly KernelRoute[], route: KernelRoute): readonly KernelRoute[] {
  const at = present.findIndex(({ metric }) => metric === route.metric);
  const found = present[at];
  if (!found) return [...present, route];
  return isSame(found, route) ? present : present.with(at, route);
}

/** Whether an IPv6 route is another one with more next hops. */
function isGrown(before: KernelRoute, after: KernelRoute): boolean {
  return (
    after.destination.includes(':') &&
    after.metric === before.metric &&
    after.hops.length > before.hops.length &&
    before.hops.every((hop) => after.hops.some((other) => isSameHop(hop, other)))
  );
}

function isSame(a: KernelRoute, b: KernelRoute): boolean {
  return (
    a.type === b.type &&
    a.protocol === b.protocol &&
    a.metric === b.metric &&
    a.source === b.source &&
    a.hops.length === b.hops.length &&
    isSameHops(a.hops, b.hops, a.destination.includes(':'))
  );
}

/** Compares next hops. IPv6 reports another order than it lists; IPv4 can hold two routes that differ only in it. */
function isSameHops(a: readonly Hop[], b: readonly Hop[], isIPv6: boolean): boolean {
  return a.every((hop, i) =>
    isIPv6 ? b.some((other) => isSameHop(hop, other)) : b[i] !== undefined && isSameHop(hop, b[i]),
  );
}

function isSameHop(a: Hop, b: Hop): boolean {
  return a.gateway === b.gateway && a.device === b.device && (a.isOnlink ?? false) === (b.isOnlink ?? false);
}

/**
 * Whether two lists hold the same routes to a destination. Only IPv4 routes with the same metric have an order: the
 * first of them is used.
 */
function isSameList(a: readonly KernelRoute[], b: readonly KernelRoute[]): boolean {
  if (a.length !== b.length) return false;
  const [first, second] = [byMetric(a), byMetric(b)];
  return first.every((route, i) => {
    if (route.destination.includes(':')) return b.some((other) => isSame(route, other));
    const other = second[i];
    return other !== undefined && isSame(route, other);
  });
}

function byMetric(routes: readonly KernelRoute[]): readonly KernelRoute[] {
  return routes.length < 2 ? routes : routes.toSorted((a, b) => (a.metric ?? 0) - (b.metric ?? 0));
}

function devicesOf(routes: readonly KernelRoute[]): Set<string> {
  return new Set(routes.flatMap(({ hops }) => hops.flatMap(({ device }) => device ?? [])));
}
