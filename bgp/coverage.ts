/** Whether nothing is lost when a peer goes: every route that it tells is there by another path. */
import type { Rib } from './rib/rib.ts';

/**
 * Whether each usable path of a source has another usable one beside it, of a source that stays.
 * `isGoing` says it of the row of a source; the local routes stay.
 */
export function isCovered(rib: Rib, source: number, isGoing: (source: number) => boolean): boolean {
  for (const path of rib.pathsOf(source)) {
    if (!rib.isUsable(path)) continue;
    const others = [...rib.pathsTo(rib.paths.prefix[path]!)];
    if (!others.some((other) => rib.isUsable(other) && !isGoing(rib.paths.source[other]!))) return false;
  }
  return true;
}
