/**
 * What the Node's condition adds about objects that cannot be used as they are. Kinds with a status have a condition of
 * their own (controllers/accepted.ts); for IPReservation, FelixConfiguration and others the Node is the only place. Pure.
 */
import { describeProblem, type ObjectProblem } from '../datastore/object-problem.ts';
import { findKind } from '../datastore/registry.ts';
import { CALICO_GROUP } from '../datastore/schema/resource.ts';

/** Objects that a condition names at most. */
const MAX_REMARKS = 5;

/** One sentence for each object of Calico's kinds without a status; the last one counts those that are left out. */
export function remarksAbout(problems: readonly ObjectProblem[]): string[] {
  const concerned = problems.filter(({ kind }) => {
    const definition = findKind(kind);
    return definition?.group === CALICO_GROUP && !definition.hasStatus;
  });
  const sentences = concerned.slice(0, MAX_REMARKS).map(describeProblem);
  const more = concerned.length - sentences.length;
  return more > 0 ? [...sentences, `${more} more objects cannot be used as they are`] : sentences;
}
