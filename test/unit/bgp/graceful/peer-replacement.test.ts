import { describe, expect, it } from 'vitest';
import { Deferral } from '../../../../bgp/graceful/deferral.ts';
import { PeerReplacement } from '../../../../bgp/graceful/peer-replacement.ts';
import { type Log, silentLog } from '../../../../lib/log.ts';
import { ManualClock } from '../../../helpers/manual-clock.ts';

describe('replaced peers (make before break)', () => {
  const leaf = (key: string) => ({ key, address: key, isLeaf: true });
  const other = (key: string) => ({ key, address: key, isLeaf: false });
  const begin = () => {
    const clock = new ManualClock();
    const removed: string[] = [];
    const replaceable = new Set<string>();
    const replacement = new PeerReplacement(
      { patienceSeconds: 10, longestSeconds: 120 },
      { clock, hasAlternatePaths: (key) => replaceable.has(key), remove: (key) => removed.push(key) },
    );
    return { clock, removed, replaceable, replacement };
  };

  it('stay until the new peers have finished their initial update, and three seconds more', () => {
    const { clock, removed, replaceable, replacement } = begin();
    replaceable.add('old');
    replacement.join(other('new'));
    expect(replacement.retire(leaf('old'))).toBe(true);
    clock.advance(5000);
    replacement.settle('new');
    clock.advance(3000);
    // Applying the same desired state again does not restart the wait.
    expect(replacement.retire(leaf('old'))).toBe(true);
    expect(removed).toEqual([]);
    clock.advance(500);
    expect(removed).toEqual(['old']);
    expect(replacement.isRetiring('old')).toBe(false);
  });

  it('stay while the new peers do not advertise all of their routes, even if these were quick', () => {
    const { clock, removed, replaceable, replacement } = begin();
    replacement.join(other('new'));
    replacement.settle('new');
    clock.advance(5000);
    expect(replacement.retire(leaf('old'))).toBe(true);
    clock.advance(60_000);
    replaceable.add('old');
    clock.advance(3000);
    // A route arrived that has no alternate path: the three seconds restart.
    replaceable.delete('old');
    clock.advance(500);
    replaceable.add('old');
    clock.advance(3000);
    expect(removed).toEqual([]);
    clock.advance(500);
    expect(removed).toEqual(['old']);
  });

  it('stay for at most the longest time, and do not wait for a new peer that does not answer', () => {
    const { clock, removed, replaceable, replacement } = begin();
    replacement.join(other('silent'));
    replacement.retire(other('replaceable'));
    replacement.retire(other('alone'));
    replaceable.add('replaceable');
    clock.advance(13_500);
    expect(removed).toEqual(['replaceable']);
    clock.advance(106_000);
    expect(removed).toEqual(['replaceable']);
    clock.advance(1000);
    expect(removed).toEqual(['replaceable', 'alone']);
  });

  it('are removed at once when nothing replaces them, and stay when they are wanted again', () => {
    const { clock, removed, replaceable, replacement } = begin();
    expect(replacement.retire(leaf('old'))).toBe(false);
    // A node that joins does not replace another node.
    replacement.join(leaf('node'));
    expect(replacement.retire(leaf('other node'))).toBe(false);
    expect(replacement.retire(other('reflector'))).toBe(true);
    replaceable.add('reflector');
    expect(replacement.keep('reflector')).toBe(true);
    clock.advance(20_000);
    expect(removed).toEqual([]);
    expect(replacement.retire(leaf('node'))).toBe(false);
    // But it replaces a peer with the same address, such as itself at another port.
    replacement.join({ ...leaf('old again'), address: 'old' });
    expect(replacement.retire(leaf('old'))).toBe(true);
    expect(replacement.keep('old')).toBe(true);
    clock.advance(10_000);
    // A node that joined long ago does not count as a replacement.
    expect(replacement.retire(other('reflector'))).toBe(false);
  });
});

describe('peers that leave shortly after they joined', () => {
  const reflector = (key: string) => ({ key, address: key, isLeaf: false });
  const begin = () => {
    const clock = new ManualClock();
    const removed: string[] = [];
    const replacement = new PeerReplacement(
      { patienceSeconds: 10, longestSeconds: 120 },
      { clock, hasAlternatePaths: () => false, remove: (key) => removed.push(key) },
    );
    return { clock, removed, replacement };
  };
  const change = (replacement: PeerReplacement, ...keys: string[]) => {
    replacement.leave(keys.filter((key) => !replacement.isRetiring(key)));
    return keys.map((key) => replacement.retire(reflector(key)));
  };

  it('replace no peer that leaves with them', () => {
    const { replacement } = begin();
    // One BGPPeer with a session per family, created and deleted.
    for (const key of ['v4', 'v6']) replacement.join(reflector(key));
    expect(change(replacement, 'v4', 'v6')).toEqual([false, false]);
  });

  it('release the peers that waited for them, unless another peer has joined', () => {
    const { replacement, removed } = begin();
    replacement.join(reflector('first'));
    expect(change(replacement, 'old')).toEqual([true]);
    replacement.join(reflector('second'));
    change(replacement, 'old', 'first');
    expect(removed).toEqual([]);
    // "first" waits for "second" by now and is removed with it.
    change(replacement, 'old', 'first', 'second');
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
