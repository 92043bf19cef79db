/**
 * Remarks in the Node's condition about objects with faults. Kinds with a status have their own condition
 * (controllers/accepted.ts). For IPReservation, FelixConfiguration and others the Node is the only place. Pure.
 */
import { describeProblem, type ObjectProblem } from '../../datastore/object-problem.ts';
import { findKind } from '../../datastore/registry.ts';
import { CALICO_GROUP } from '../../datastore/schema/resource.ts';

/** Maximum of objects in a condition. */
const MAX_REMARKS = 5;

/** Returns a sentence for each object of Calico's kinds without a status. The last one counts omitted objects. */
export function remarksAbout(problems: readonly ObjectProblem[]): string[] {
  const concerned = problems.filter(({ kind }) => {
    const definition = findKind(kind);
    return definition?.group === CALICO_GROUP && !definition.hasStatus;
  });
  const sentences = concerned.slice(0, MAX_REMARKS).map(describeProblem);
  const more = concerned.length - sentences.length;
  return more > 0 ? [...sentences, `${more} more objects cannot be used as stored`] : sentences;
}
