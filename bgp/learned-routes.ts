/** Best learned routes, for the kernel. */
import type { Family } from '../lib/cidr.ts';
import type { Ribs } from './peer/receiver.ts';
import { LOCAL } from './rib/source.ts';
import type { Prefix } from './wire/nlri.ts';
import { AttributeFact } from './wire/scan.ts';

/** A route for the kernel. */
export interface LearnedRoute {
  readonly prefix: Prefix;
  /** Sorted addresses of equal cost. A link-local one has `%interface`. */
  readonly nextHops: readonly string[];
  /** Next hops that are pods of this node and announced the route themselves. */
  readonly pods?: readonly string[];
  /** LOCAL_PREF of the best path; undefined when absent. */
  readonly localPref?: number | undefined;
}

export class LearnedRoutes {
  readonly #ribs: Ribs;
  readonly routes = new Map<Prefix, LearnedRoute>();

  constructor(ribs: Ribs) {
    this.#ribs = ribs;
  }

  /** Updates the routes to these prefixes. Returns whether any changed. */
  update(family: Family, prefixes: Int32Array): boolean {
    const rib = this.#ribs[family];
    let hasChanged = false;
    for (const prefix of prefixes) {
      const text = rib.prefixes.text(prefix);
      const best = rib.best[prefix]!;
      const before = this.routes.get(text);
      if (best < 0 || rib.paths.source[best] === LOCAL) {
        if (this.routes.delete(text)) hasChanged = true;
        continue;
      }
      const route = this.#route(family, prefix, best, text);
      if (before && JSON.stringify(before) === JSON.stringify(route)) continue;
      this.routes.set(text, route);
      hasChanged = true;
    }
    return hasChanged;
  }

  #route(family: Family, prefix: number, best: number, text: Prefix): LearnedRoute {
    const rib = this.#ribs[family];
    const nextHops = new Set<string>();
    const pods = new Set<string>();
    for (const path of rib.pathsTo(prefix)) {
      if (!rib.isUsable(path) || !rib.decision.isMultipath(path, best)) continue;
      const nextHop = this.#nextHop(family, path);
      nextHops.add(nextHop);
      const { isWorkload, address } = rib.sources.at(rib.paths.source[path]!);
      if (isWorkload && nextHop === address) pods.add(nextHop);
    }
    const row = rib.paths.attributes[best]!;
    const hasPref = (rib.attributes.flags[row]! & AttributeFact.LOCAL_PREF) !== 0;
    const localPref = hasPref ? { localPref: rib.attributes.localPref[row]! } : {};
    return {
      prefix: text,
      nextHops: [...nextHops].sort(),
      ...(pods.size > 0 ? { pods: [...pods].sort() } : {}),
      ...localPref,
    };
  }

  /** Returns the next hop of a path. A link-local one gets the interface of the session. */
  #nextHop(family: Family, path: number): string {
    const rib = this.#ribs[family];
    const nextHop = rib.attributes.nextHopText(rib.paths.attributes[path]!);
    if (!/^fe[89ab]/.test(nextHop)) return nextHop;
    const { address } = rib.sources.at(rib.paths.source[path]!);
    return address.includes('%') ? `${nextHop}%${address.split('%')[1]}` : nextHop;
  }
}
