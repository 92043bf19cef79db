import { beforeEach, describe, expect, it } from 'vitest';
import { deadline } from '../../../datastore/kubernetes/deadline.ts';
import { ManualClock } from '../../helpers/manual-clock.ts';

let clock: ManualClock;
beforeEach(() => {
  clock = new ManualClock();
});

describe('a deadline', () => {
  it('aborts after its time, with the sentence', () => {
    const { signal } = deadline(clock, 100, 'no answer within 100 ms');
    clock.advance(99);
    expect(signal.aborted).toBe(false);
    clock.advance(1);
    expect(signal.reason).toEqual(new Error('no answer within 100 ms'));
  });

  it('aborts with its parent, for the same reason, and then needs no timer', () => {
    const parent = new AbortController();
    const { signal } = deadline(clock, 100, 'late', parent.signal);
    parent.abort('stop');
    expect([signal.reason, clock.next]).toEqual(['stop', undefined]);
  });

  it('is over at once when its parent is', () => {
    const { signal, end } = deadline(clock, 100, 'late', AbortSignal.abort('stop'));
    expect(signal.reason).toBe('stop');
    end();
    expect(clock.next).toBeUndefined();
  });

  it('starts again when it is restarted', () => {
    const { signal, restart } = deadline(clock, 100, 'late');
    clock.advance(99);
    restart();
    clock.advance(99);
    expect(signal.aborted).toBe(false);
    clock.advance(1);
    expect(signal.aborted).toBe(true);
  });

  it('has no effect after its end, also when it is restarted', () => {
    const parent = new AbortController();
    const { signal, end, restart } = deadline(clock, 100, 'late', parent.signal);
    end();
    restart();
    clock.advance(1_000);
    parent.abort();
    expect([signal.aborted, clock.next]).toEqual([false, undefined]);
  });
});
