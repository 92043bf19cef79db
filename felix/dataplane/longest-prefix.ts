/** Finds the longest prefix that contains an address, among routes. Pure. */
import { type Address, bitsOf, type Cidr, type Family, mustCidr, networkOf } from '../../lib/cidr.ts';
import type { KernelRoute } from '../../model/route.ts';

export interface Match {
  readonly route: KernelRoute;
  readonly network: Cidr;
}

/** Networks of routes, because the same routes are searched again and again. */
const networks = new WeakMap<KernelRoute, Cidr>();

export class LongestPrefix {
  /** Routes by network address, for each prefix length. */
  readonly #byLength: Readonly<Record<Family, Map<number, Map<bigint, Match>>>> = {
    4: new Map(),
    6: new Map(),
  };
  readonly #lengths: Readonly<Record<Family, readonly number[]>>;

  /** Of several routes with one prefix, the first counts. */
  constructor(routes: Iterable<KernelRoute>) {
    for (const route of routes) {
      const network = networkOfRoute(route);
      const { family, length, value } = network;
      const matches = this.#byLength[family].get(length) ?? new Map<bigint, Match>();
      this.#byLength[family].set(length, matches);
      if (!matches.has(value)) matches.set(value, { route, network });
    }
    const lengthsOf = (family: Family) => [...this.#byLength[family].keys()].sort((a, b) => b - a);
    this.#lengths = { 4: lengthsOf(4), 6: lengthsOf(6) };
  }

  find({ family, value }: Address): Match | undefined {
    for (const length of this.#lengths[family]) {
      const shift = BigInt(bitsOf(family) - length);
      const match = this.#byLength[family].get(length)?.get((value >> shift) << shift);
      if (match) return match;
    }
    return undefined;
  }
}

function networkOfRoute(route: KernelRoute): Cidr {
  let network = networks.get(route);
  if (!network) {
    network = networkOf(mustCidr(route.destination));
    networks.set(route, network);
  }
  return network;
}
