import { describe, expect, it } from 'vitest';
import { byObject } from '../../../felix/dataplane/object-changes.ts';
import type { LinkChange, RouteChange } from '../../../kernel/change.ts';
import { Oscillation } from '../../../lib/oscillation.ts';

const route = { object: 'route 10.0.0.0/26', change: 'route add 10.0.0.0/26 via 10.0.0.1' };

/** Returns the times at which a change is applied that is always undone at once and tried every 100 ms. */
function times(oscillation: Oscillation, change: typeof route, untilMs: number): number[] {
  const made: number[] = [];
  for (let now = 0; now <= untilMs; now += 100) {
    if (!oscillation.mayApply(change, now)) continue;
    oscillation.applied(change, now);
    made.push(now);
  }
  return made;
}

describe('a change that is undone repeatedly', () => {
  it('is applied three times at once, then after 1 s, 2 s, 4 s … up to five minutes', () => {
    const made = times(new Oscillation(), route, 1_800_000);
    expect(made.slice(0, 8)).toEqual([0, 100, 200, 1_200, 3_200, 7_200, 15_200, 31_200]);
    const gaps = made.slice(1).map((time, i) => time - made[i]!);
    expect(Math.max(...gaps)).toBe(300_000);
  });

  it('is reported with the wanted and present state, and other objects continue', () => {
    const oscillation = new Oscillation();
    times(oscillation, route, 300);
    const other = { object: 'route 10.0.0.64/26', change: 'route add 10.0.0.64/26 via 10.0.0.1' };
    expect(oscillation.mayApply(route, 300)).toBe(false);
    expect(oscillation.mayApply(other, 300)).toBe(true);
    expect(oscillation.problems(300, () => 'no such route').map(({ sentence }) => sentence)).toEqual([
      'route 10.0.0.0/26 is reverted repeatedly: "route add 10.0.0.0/26 via 10.0.0.1" does not last, ' +
        'the kernel shows "no such route". Look for another program that writes it',
    ]);
    expect(oscillation.counts(300)).toEqual({ route: 1 });
  });

  it('is no oscillation when something else is wanted in between, or when it is rare', () => {
    const oscillation = new Oscillation();
    const back = { ...route, change: 'route del 10.0.0.0/26' };
    for (let now = 0; now < 10_000; now += 100) {
      const change = now % 200 === 0 ? route : back;
      expect(oscillation.mayApply(change, now)).toBe(true);
      oscillation.applied(change, now);
    }
    for (let now = 0; now < 10; now++) oscillation.applied({ ...route, object: 'rare' }, now * 601_000);
    expect(oscillation.problems(10 * 601_000)).toEqual([]);
  });

  it('is over once it lasts, and may be applied three times at once after its interface changed', () => {
    const oscillation = new Oscillation();
    times(oscillation, route, 300);
    expect(oscillation.problems(62_300)).toEqual([]);
    const onEth0 = { ...route, object: 'route 10.0.0.64/26', devices: ['eth0'] };
    times(oscillation, onEth0, 300);
    oscillation.forget('eth1');
    expect(oscillation.mayApply(onEth0, 300)).toBe(false);
    oscillation.forget('eth0');
    expect(oscillation.mayApply(onEth0, 300)).toBe(true);
    expect(oscillation.mayApply(route, 300)).toBe(false);
  });
});

it('the changes of one object are one change, which depends on their interfaces', () => {
  const route: RouteChange = {
    ...{ object: 'route', verb: 'del', destination: '10.0.0.5/32', type: 'unicast', protocol: 161 },
    hops: [],
  };
  const added: RouteChange = { ...route, verb: 'add', hops: [{ gateway: undefined, device: 'cali1' }] };
  const link: LinkChange = { object: 'link', verb: 'set', name: 'vxlan.cali', isUp: true };
  expect(byObject([route, link, added])).toEqual([
    {
      change: {
        object: 'route 10.0.0.5/32',
        change: 'route del 10.0.0.5/32 proto 161; route add 10.0.0.5/32 dev cali1 scope link proto 161',
        devices: ['cali1'],
      },
      changes: [route, added],
    },
    {
      change: { object: 'link vxlan.cali', change: 'link set dev vxlan.cali up', devices: [] },
      changes: [link],
    },
  ]);
});

it('the caller configures how many objects an oscillation remembers, and how long they wait at most', () => {
  const oscillation = new Oscillation({ maxEntries: 20_000, maxDelayMs: 2_000 });
  for (let round = 0; round < 8; round++)
    for (let i = 0; i < 20_000; i++) oscillation.applied({ object: `route ${i}`, change: 'add' }, round);
  const changes = Array.from({ length: 20_000 }, (_, i) => ({ object: `route ${i}`, change: 'add' }));
  expect(changes.filter((change) => oscillation.mayApply(change, 2_006))).toEqual([]);
  expect(changes.every((change) => oscillation.mayApply(change, 2_007))).toBe(true);
});
