import { expect, it } from 'vitest';
import { ObserverSet } from '../../../../bgp/peer/observer-set.ts';
import type { Observer, Peer } from '../../../../bgp/peer/peer.ts';
import type { SessionEnd } from '../../../../bgp/session/session.ts';
import { silentLog } from '../../../../lib/log.ts';

const peer = {} as Peer;
const end = {} as SessionEnd;

function recorder(name: string, calls: string[], fails = false): Observer {
  const note = (call: string) => {
    calls.push(`${name} ${call}`);
    if (fails) throw new Error('broken');
  };
  return { message: (_, direction) => note(direction), up: () => note('up'), down: () => note('down') };
}

it('every observer learns of messages and sessions, in order', () => {
  const calls: string[] = [];
  const set = new ObserverSet(silentLog);
  set.add(recorder('a', calls));
  set.add(recorder('b', calls));
  set.up(peer);
  set.message(peer, 'received', new Uint8Array());
  set.down(peer, end);
  expect(calls).toEqual(['a up', 'b up', 'a received', 'b received', 'a down', 'b down']);
});

it('an observer that throws is removed, and neither the session nor other observers notice', () => {
  const calls: string[] = [];
  const set = new ObserverSet(silentLog);
  set.add(recorder('bad', calls, true));
  set.add(recorder('good', calls));
  set.up(peer);
  set.down(peer, end);
  expect(calls).toEqual(['bad up', 'good up', 'good down']);
});

it('a removed observer is not called, also when another one removes it', () => {
  const calls: string[] = [];
  const set = new ObserverSet(silentLog);
  const removeLater: (() => void)[] = [];
  set.add({ ...recorder('a', calls), up: () => removeLater.at(0)?.() });
  removeLater.push(set.add(recorder('b', calls)));
  set.up(peer);
  expect(calls).toEqual([]);
});
