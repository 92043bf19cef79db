import { describe, expect, it } from 'vitest';
import { type Condition, conditionsOf, withCondition } from '../../../controllers/conditions.ts';

const NOW = Date.parse('2026-01-02T03:04:05.678Z');
const wanted: Condition = { type: 'Ready', status: 'True', reason: 'Good', message: 'all is well' };
const other: Condition = { type: 'Other', status: 'False', reason: 'Bad', message: 'of another program' };
const before = '2025-12-31T00:00:00Z';

describe('setting a condition', () => {
  it('adds it with the time in whole seconds, and keeps those of other programs', () => {
    expect(withCondition({ conditions: [other] }, wanted, NOW)).toEqual([
      other,
      { ...wanted, lastTransitionTime: '2026-01-02T03:04:05Z' },
    ]);
  });

  it.each([undefined, null, {}, { conditions: 'none' }])('starts a list when the status is %j', (status) => {
    expect(withCondition(status, wanted, NOW)).toHaveLength(1);
  });

  it('changes nothing when it is set already, whatever its transition time', () => {
    expect(
      withCondition({ conditions: [{ ...wanted, lastTransitionTime: before }] }, wanted, NOW),
    ).toBeUndefined();
  });

  it('keeps the transition time when only the message changes', () => {
    const present = { ...wanted, message: 'almost', lastTransitionTime: before };
    expect(withCondition({ conditions: [present] }, wanted, NOW)).toEqual([
      { ...wanted, lastTransitionTime: before },
    ]);
  });

  it('has a new transition time when the status changes', () => {
    const present = { ...wanted, status: 'False', lastTransitionTime: before };
    expect(withCondition({ conditions: [present] }, wanted, NOW)?.[0]?.lastTransitionTime).toBe(
      '2026-01-02T03:04:05Z',
    );
  });

  it('replaces several conditions of its type by one', () => {
    const present = { ...wanted, status: 'False' };
    expect(withCondition({ conditions: [present, other, present] }, wanted, NOW)).toHaveLength(2);
  });
});

describe('reading conditions', () => {
  it('ignores entries that are no conditions', () => {
    expect(conditionsOf([null, 7, 'x', {}, { type: 'Ready' }, { type: 1, status: 'True' }, other])).toEqual([
      other,
    ]);
    expect(conditionsOf({ type: 'Ready', status: 'True' })).toEqual([]);
  });
});
