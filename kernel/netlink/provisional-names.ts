/**
 * Names of interfaces for objects that are read before the interfaces. Names known from before are mostly right; the
 * list of interfaces, read last, corrects the others.
 */
import type { KernelRoute } from '../../model/route.ts';
import { type DeviceName, deviceName } from './rtnetlink/fields.ts';

export class ProvisionalNames {
  readonly #known: ReadonlyMap<number, string>;
  /** Names that were given out, by index. Each belongs to one index. */
  readonly #given = new Map<number, string>();

  constructor(known: ReadonlyMap<number, string>) {
    this.#known = known;
  }

  readonly of: DeviceName = (index) => {
    let name = this.#given.get(index);
    if (name === undefined) {
      // A slash is in no interface's name.
      name = this.#known.get(index) ?? `/${index}`;
      this.#given.set(index, name);
    }
    return name;
  };

  /** Returns the right names of those that were given out wrongly. An interface that is gone is named as `if7`. */
  corrections(names: ReadonlyMap<number, string>): ReadonlyMap<string, string> {
    const wrong = new Map<string, string>();
    for (const [index, given] of this.#given) {
      const name = deviceName(index, (wanted) => names.get(wanted));
      if (name !== given) wrong.set(given, name);
    }
    return wrong;
  }
}

/** Returns objects with corrected names of their interfaces. */
export function correct<T extends { readonly device: string }>(
  objects: readonly T[],
  corrections: ReadonlyMap<string, string>,
): readonly T[] {
  if (corrections.size === 0) return objects;
  return objects.map((one) => {
    const device = corrections.get(one.device);
    return device === undefined ? one : { ...one, device };
  });
}

/** Returns routes with corrected names of their next hops' interfaces. */
export function correctRoutes(
  routes: readonly KernelRoute[],
  corrections: ReadonlyMap<string, string>,
): readonly KernelRoute[] {
  if (corrections.size === 0) return routes;
  const nameOf = (device: string | undefined) =>
    device === undefined ? device : (corrections.get(device) ?? device);
  return routes.map((route) =>
    route.hops.some(({ device }) => device !== undefined && corrections.has(device))
      ? { ...route, hops: route.hops.map((hop) => ({ ...hop, device: nameOf(hop.device) })) }
      : route,
  );
}
