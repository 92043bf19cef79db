import { describe, expect, it } from 'vitest';
import { Deferral } from '../../../../bgp/graceful/deferral.ts';
import { Succession } from '../../../../bgp/graceful/peer-replacement.ts';
import { type Log, silentLog } from '../../../../lib/log.ts';
import { ManualClock } from '../../../helpers/manual-clock.ts';

describe('replaced peers (make before break)', () => {
  const leaf = (key: string) => ({ key, address: key, isLeaf: true });
  const other = (key: string) => ({ key, address: key, isLeaf: false });
  const begin = () => {
    const clock = new ManualClock();
    const removed: string[] = [];
    const covered = new Set<string>();
    const succession = new Succession(
      { patienceSeconds: 10, longestSeconds: 120 },
      { clock, isCovered: (key) => covered.has(key), remove: (key) => removed.push(key) },
    );
    return { clock, removed, covered, succession };
  };

  it('stay until the new peers have finished their initial update, and three seconds more', () => {
    const { clock, removed, covered, succession } = begin();
    covered.add('old');
    succession.join(other('new'));
    expect(succession.retire(leaf('old'))).toBe(true);
    clock.advance(5000);
    succession.settle('new');
    clock.advance(3000);
    // Applying the same desired state again does not restart the wait.
    expect(succession.retire(leaf('old'))).toBe(true);
    expect(removed).toEqual([]);
    clock.advance(500);
    expect(removed).toEqual(['old']);
    expect(succession.isRetiring('old')).toBe(false);
  });

  it('stay while the new peers do not cover all of their routes, even if these were quick', () => {
    const { clock, removed, covered, succession } = begin();
    succession.join(other('new'));
    succession.settle('new');
    clock.advance(5000);
    expect(succession.retire(leaf('old'))).toBe(true);
    clock.advance(60_000);
    covered.add('old');
    clock.advance(3000);
    // A route arrived that is not covered: the three seconds restart.
    covered.delete('old');
    clock.advance(500);
    covered.add('old');
    clock.advance(3000);
    expect(removed).toEqual([]);
    clock.advance(500);
    expect(removed).toEqual(['old']);
  });

  it('stay for at most the longest time, and do not wait for a new peer that does not answer', () => {
    const { clock, removed, covered, succession } = begin();
    succession.join(other('silent'));
    succession.retire(other('covered'));
    succession.retire(other('alone'));
    covered.add('covered');
    clock.advance(13_500);
    expect(removed).toEqual(['covered']);
    clock.advance(106_000);
    expect(removed).toEqual(['covered']);
    clock.advance(1000);
    expect(removed).toEqual(['covered', 'alone']);
  });

  it('are removed at once when nothing replaces them, and stay when they are wanted again', () => {
    const { clock, removed, covered, succession } = begin();
    expect(succession.retire(leaf('old'))).toBe(false);
    // A node that joins does not replace another node.
    succession.join(leaf('node'));
    expect(succession.retire(leaf('other node'))).toBe(false);
    expect(succession.retire(other('reflector'))).toBe(true);
    covered.add('reflector');
    expect(succession.keep('reflector')).toBe(true);
    clock.advance(20_000);
    expect(removed).toEqual([]);
    expect(succession.retire(leaf('node'))).toBe(false);
    // But it replaces a peer with the same address, such as itself at another port.
    succession.join({ ...leaf('old again'), address: 'old' });
    expect(succession.retire(leaf('old'))).toBe(true);
    expect(succession.keep('old')).toBe(true);
    clock.advance(10_000);
    // A node that joined long ago does not count as a replacement.
    expect(succession.retire(other('reflector'))).toBe(false);
  });
});

describe('peers that leave shortly after they joined', () => {
  const reflector = (key: string) => ({ key, address: key, isLeaf: false });
  const begin = () => {
    const clock = new ManualClock();
    const removed: string[] = [];
    const succession = new Succession(
      { patienceSeconds: 10, longestSeconds: 120 },
      { clock, isCovered: () => false, remove: (key) => removed.push(key) },
    );
    return { clock, removed, succession };
  };
  const change = (succession: Succession, ...keys: string[]) => {
    succession.leave(keys.filter((key) => !succession.isRetiring(key)));
    return keys.map((key) => succession.retire(reflector(key)));
  };

  it('replace no peer that leaves with them', () => {
    const { succession } = begin();
    // One BGPPeer with a session per family, created and deleted.
    for (const key of ['v4', 'v6']) succession.join(reflector(key));
    expect(change(succession, 'v4', 'v6')).toEqual([false, false]);
  });

  it('release the peers that waited for them, unless another peer has joined', () => {
    const { succession, removed } = begin();
    succession.join(reflector('first'));
    expect(change(succession, 'old')).toEqual([true]);
    succession.join(reflector('second'));
    change(succession, 'old', 'first');
    expect(removed).toEqual([]);
    // "first" waits for "second" by now and is removed with it.
    change(succession, 'old', 'first', 'second');
    expect(removed.sort()).toEqual(['first', 'old']);
  });
});

describe('the deferral after a start', () => {
  const begin = (up: readonly string[] = [], opening: ReadonlySet<string> = new Set()) => {
    const clock = new ManualClock();
    let overs = 0;
    const stateOf = (key: string) =>
      up.includes(key) ? 'Established' : opening.has(key) ? 'OpenSent' : 'Connect';
    const logged: object[] = [];
    const log: Log = { ...silentLog, info: (fields) => void logged.push(fields) };
    const addressOf = (key: string) => `address of ${key}`;
    const deferral = new Deferral(
      { deferralSeconds: 120, unreachableSeconds: 10 },
      { clock, log, stateOf, addressOf, gaveUp() {}, over: () => overs++ },
    );
    return { clock, deferral, logged, overs: () => overs };
  };

  it('ends once, when the last peer has finished its initial update', () => {
    const { deferral, overs } = begin();
    deferral.start(['a', 'b']);
    deferral.settle('a');
    expect(deferral.isOver).toBe(false);
    deferral.settle('b');
    deferral.settle('b');
    expect([deferral.isOver, overs()]).toEqual([true, 1]);
  });

  it('waits for dynamic peers to connect and to finish their initial update', () => {
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

  it('skips silent peers, waits for slow ones until the restart time is over, and ends at once without peers', () => {
    const silent = begin();
    silent.deferral.start(['a']);
    silent.clock.advance(10_000);
    expect(silent.overs()).toBe(1);
    expect(silent.logged).toEqual([{ peer: 'address of a' }]);
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

  it('continues for a peer that has accepted the connection but is slow to send its OPEN', () => {
    const opening = new Set(['slow']);
    const { deferral, clock } = begin([], opening);
    deferral.start(['slow', 'dead']);
    clock.advance(10_000);
    expect([...deferral.awaited]).toEqual(['slow']);
    clock.advance(10_000);
    expect(deferral.isOver).toBe(false);
    opening.clear();
    clock.advance(10_000);
    expect(deferral.isOver).toBe(true);
  });
});
