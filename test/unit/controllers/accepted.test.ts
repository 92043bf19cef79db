import { describe, expect, it } from 'vitest';
import { acceptance } from '../../../controllers/accepted.ts';

const NOW = Date.parse('2026-01-02T03:04:05Z');
const problem = { kind: 'IPPool', name: 'bad', field: 'spec.cidr', reason: 'is not a network' };
const other = { type: 'Other', status: 'True', reason: 'Good', message: 'of another program' };

describe('the condition Accepted', () => {
  it('is False with field and reason while the object is invalid', () => {
    expect(acceptance([other], problem, NOW)).toEqual([
      other,
      {
        type: 'Accepted',
        status: 'False',
        reason: 'CannotBeUsed',
        message: 'spec.cidr: is not a network',
        lastTransitionTime: '2026-01-02T03:04:05Z',
      },
    ]);
  });

  it('has the reason alone when no field is to blame', () => {
    const { field: _, ...whole } = problem;
    expect(acceptance([], whole, NOW)?.[0]?.message).toBe('is not a network');
  });

  it('is not written again while nothing changes', () => {
    expect(acceptance(acceptance([], problem, NOW), problem, NOW + 60_000)).toBeUndefined();
  });

  it('becomes True when the object is corrected, and is not written after that', () => {
    const corrected = acceptance(acceptance([other], problem, NOW), undefined, NOW + 60_000);
    expect(corrected).toMatchObject([
      other,
      { type: 'Accepted', status: 'True', lastTransitionTime: '2026-01-02T03:05:05Z' },
    ]);
    expect(acceptance(corrected, undefined, NOW + 120_000)).toBeUndefined();
  });

  it('is absent from an object that was always valid', () => {
    expect(acceptance([other], undefined, NOW)).toBeUndefined();
    expect(acceptance(undefined, undefined, NOW)).toBeUndefined();
  });
});
