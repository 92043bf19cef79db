/** Whether a peer can be removed without losing a route, because each of its prefixes has another path. */
import type { Rib } from '../rib/rib.ts';

/**
 * Whether each prefix with a usable path of this source has another usable path, from a source that stays. `isGoing`
 * returns whether the source of a row is about to be removed; it is false for local routes.
 */
export function hasAlternatePaths(rib: Rib, source: number, isGoing: (source: number) => boolean): boolean {
  for (const path of rib.pathsOf(source)) {
    if (!rib.isUsable(path)) continue;
    const others = [...rib.pathsTo(rib.paths.prefix[path]!)];
    if (!others.some((other) => rib.isUsable(other) && !isGoing(rib.paths.source[other]!))) return false;
  }
  return true;
}
