/** Marks stale routes as long-lived (RFC 9494 section 4.2). */
import { attributesOf, internAttributes } from '../rib/attribute-values.ts';
import { PathFlag } from '../rib/path-table.ts';
import type { Rib } from '../rib/rib.ts';
import { AttributeFact, Community } from '../wire/scan.ts';

/**
 * Adds LLGR_STALE to the stale paths of a source, which makes them least preferred, and removes those with NO_LLGR.
 * Idempotent.
 */
export function markLongLived(rib: Rib, source: number): void {
  for (const path of rib.pathsOf(source)) {
    const row = rib.paths.attributes[path]!;
    const facts = rib.attributes.flags[row]!;
    if (!(rib.paths.flags[path]! & PathFlag.STALE)) continue;
    if (facts & AttributeFact.NO_LLGR) {
      rib.remove(path);
      continue;
    }
    if (facts & AttributeFact.LLGR_STALE) continue;
    const attributes = attributesOf(rib.attributes, row);
    const communities = [...(attributes.communities ?? []), Community.LLGR_STALE];
    const marked = internAttributes(rib.attributes, { ...attributes, communities });
    // A path without room for the mark must not stay unmarked.
    if (marked === undefined) {
      rib.remove(path);
      continue;
    }
    rib.setAttributes(path, marked);
    rib.attributes.release(marked);
  }
}
