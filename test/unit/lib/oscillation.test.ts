import { describe, expect, it } from 'vitest';
import { byObject, objectOf } from '../../../felix/dataplane/object-changes.ts';
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
    expect(oscillation.problems(300, () => 'no such route')).toEqual([
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

  it('is over once it lasts, and may be applied three times at once after it was forgotten', () => {
    const oscillation = new Oscillation();
    times(oscillation, route, 300);
    expect(oscillation.problems(62_300)).toEqual([]);
    oscillation.forget(({ change }) => change.includes('10.0.0.1'));
    expect(oscillation.mayApply(route, 300)).toBe(true);
  });
});

describe('the object of a command', () => {
  it.each([
    ['route add 10.0.0.0/26 via 10.0.0.1 dev eth0 proto 160', 'route 10.0.0.0/26'],
    ['route del blackhole 10.0.0.0/26 proto 161', 'route 10.0.0.0/26'],
    ['route add FD00:10::1 dev cali1 scope link', 'route fd00:10::1'],
    ['route replace default via 10.0.0.1', 'route default'],
    ['neigh replace 10.0.0.5 lladdr ee:ee:ee:ee:ee:ee dev cali1 nud permanent', 'neigh 10.0.0.5 cali1'],
    ['address add 169.254.1.1/32 dev cali1', 'address 169.254.1.1/32 cali1'],
    ['link add name vxlan.cali type vxlan id 4096', 'link vxlan.cali'],
    ['link set dev vxlan.cali mtu 1400', 'link vxlan.cali'],
    ['fdb append 66:00:00:00:00:01 dev vxlan.cali dst 10.0.0.2', 'fdb 66:00:00:00:00:01 vxlan.cali'],
  ])('%s is %s', (command, object) => expect(objectOf(command)).toBe(object));

  it('is the same for a deletion and an addition in two spellings, which are one change', () => {
    expect(byObject(['route del fd00::a dev cali1', 'route add FD00::A dev cali1'])).toEqual([
      {
        change: {
          object: 'route fd00::a',
          change: 'route del fd00::a dev cali1; route add FD00::A dev cali1',
        },
        commands: ['route del fd00::a dev cali1', 'route add FD00::A dev cali1'],
      },
    ]);
  });
});

it('the caller configures how many objects an oscillation remembers, and how long they wait at most', () => {
  const oscillation = new Oscillation({ maxEntries: 20_000, maxDelayMs: 2_000 });
  for (let round = 0; round < 8; round++)
    for (let i = 0; i < 20_000; i++) oscillation.applied({ object: `route ${i}`, change: 'add' }, round);
  const changes = Array.from({ length: 20_000 }, (_, i) => ({ object: `route ${i}`, change: 'add' }));
  expect(changes.filter((change) => oscillation.mayApply(change, 2_006))).toEqual([]);
  expect(changes.every((change) => oscillation.mayApply(change, 2_007))).toBe(true);
});
