/**
 * Condition Accepted of IPPools and BGPPeers: False with the sentence while an object cannot be used as it is, True once
 * it has been corrected. An object that was always right has none.
 */

import type { UnreadableObject } from '../datastore/reflector.ts';
import type { Condition } from './conditions.ts';
import { conditionsOf, withCondition } from './conditions.ts';

const TYPE = 'Accepted';

/** Conditions to write, with those of others; undefined when nothing is to be written. `now` in epoch milliseconds. */
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
