/** Routes that this speaker originates. They are in the RIB with source LOCAL. */
import { familyOf } from '../lib/cidr.ts';
import type { Originated } from './peer/config.ts';
import type { Ribs } from './peer/receiver.ts';
import { internAttributes } from './rib/attribute-values.ts';
import { wireOf } from './rib/prefix-table.ts';
import { LOCAL } from './rib/source.ts';
import { Origin } from './wire/iana.ts';
import type { Prefix } from './wire/nlri.ts';

export class LocalRoutes {
  readonly #ribs: Ribs;
  #routes = new Map<Prefix, Originated>();

  constructor(ribs: Ribs) {
    this.#ribs = ribs;
  }

  /** Replaces the set of originated prefixes. */
  set(routes: readonly Originated[]): void {
    const wanted = new Map(routes.map((route) => [route.prefix, route]));
    for (const prefix of this.#routes.keys())
      if (!wanted.has(prefix)) this.#ribs[familyOf(prefix)].withdraw(wireOf(prefix)!, 0, LOCAL, 0);
    for (const route of wanted.values()) {
      const before = this.#routes.get(route.prefix);
      if (!before || before.localPref !== route.localPref) this.#announce(route);
    }
    this.#routes = wanted;
  }

  #announce({ prefix, localPref }: Originated): void {
    const rib = this.#ribs[familyOf(prefix)];
    const pref = localPref === undefined ? {} : { localPref };
    // Without next hop: groups announce our own address.
    const row = internAttributes(rib.attributes, { origin: Origin.IGP, asPath: [], nextHop: '', ...pref })!;
    rib.announce(wireOf(prefix)!, 0, LOCAL, 0, row, row, 0);
    rib.attributes.release(row);
  }
}
