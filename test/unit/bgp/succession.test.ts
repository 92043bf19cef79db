import { describe, expect, it } from 'vitest';
import { Deferral } from '../../../bgp/deferral.ts';
import { Succession } from '../../../bgp/succession.ts';
import { silentLog } from '../../../lib/log.ts';
import { ManualClock } from '../../helpers/manual-clock.ts';

describe('make before break', () => {
  const begin = () => {
    const clock = new ManualClock();
    const removed: string[] = [];
    const succession = new Succession({ patienceSeconds: 10 }, { clock, remove: (key) => removed.push(key) });
    return { clock, removed, succession };
  };

  it('those that go stay until the new ones have told everything, and three seconds more', () => {
    const { clock, removed, succession } = begin();
    succession.join('new');
    expect(succession.retire('old')).toBe(true);
    clock.advance(5000);
    succession.settle('new');
    clock.advance(2900);
    // The same desired state again begins nothing anew.
    expect(succession.retire('old')).toBe(true);
    expect(removed).toEqual([]);
    clock.advance(200);
    expect(removed).toEqual(['old']);
    expect(succession.isRetiring('old')).toBe(false);
  });

  it('go at once when nobody comes, after the patience when nobody answers, and not when they are wanted again', () => {
    const { clock, removed, succession } = begin();
    expect(succession.retire('old')).toBe(false);
    succession.join('new');
    succession.retire('old');
    succession.retire('other');
    expect(succession.keep('other')).toBe(true);
    clock.advance(13_100);
    expect(removed).toEqual(['old']);
  });
});

describe('the wait after a start', () => {
  const begin = (up: readonly string[] = []) => {
    const clock = new ManualClock();
    let overs = 0;
    const deferral = new Deferral(
      { deferralSeconds: 120, unreachableSeconds: 10 },
      { clock, log: silentLog, hasSession: (key) => up.includes(key), gaveUp() {}, over: () => overs++ },
    );
    return { clock, deferral, overs: () => overs };
  };

  it('ends with the last peer that has told everything, once', () => {
    const { deferral, overs } = begin();
    deferral.start(['a', 'b']);
    deferral.settle('a');
    expect(deferral.isOver).toBe(false);
    deferral.settle('b');
    deferral.settle('b');
    expect([deferral.isOver, overs()]).toEqual([true, 1]);
  });

  it('waits for peers that come by themselves, and for what they tell', () => {
    const { deferral, clock } = begin(['b']);
    deferral.start(['a'], true);
    deferral.settle('a');
    expect(deferral.isOver).toBe(false);
    deferral.expect('b');
    clock.advance(10_000);
    expect([deferral.isOpen, deferral.isOver]).toEqual([false, false]);
    deferral.settle('b');
    expect(deferral.isOver).toBe(true);
  });

  it('does not wait for peers that do not answer, for others until the restart time is over, and for nobody not at all', () => {
    const silent = begin();
    silent.deferral.start(['a']);
    silent.clock.advance(10_000);
    expect(silent.overs()).toBe(1);
    const slow = begin(['a']);
    slow.deferral.start(['a']);
    slow.clock.advance(119_000);
    expect(slow.overs()).toBe(0);
    slow.clock.advance(1000);
    expect(slow.overs()).toBe(1);
    const alone = begin();
    alone.deferral.start([]);
    expect(alone.overs()).toBe(1);
  });
});
