/**
 * Condition Accepted of IPPools and BGPPeers: False with the reason while an object is invalid, True after it was
 * corrected. An object that was always valid does not have it.
 */

import type { UnreadableObject } from '../datastore/informer.ts';
import type { Condition } from './conditions.ts';
import { conditionsOf, withCondition } from './conditions.ts';

const TYPE = 'Accepted';

/**
 * Returns the conditions to write, including those of other programs; undefined when there is nothing to write. `now`
 * is in epoch milliseconds.
 */
export function acceptance(
  present: unknown,
  problem: UnreadableObject['problem'] | undefined,
  now: number,
): readonly Condition[] | undefined {
  const conditions = conditionsOf(present);
  if (!problem && !conditions.some(({ type, status }) => type === TYPE && status === 'False'))
    return undefined;
  const { field, reason } = problem ?? {};
  return withCondition(
    { conditions },
    problem
      ? {
          type: TYPE,
          status: 'False',
          reason: 'CannotBeUsed',
          message: field ? `${field}: ${reason}` : (reason ?? ''),
        }
      : { type: TYPE, status: 'True', reason: 'Accepted', message: 'the object is used as it is' },
    now,
  );
}
