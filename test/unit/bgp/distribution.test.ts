import { expect, it } from 'vitest';
import { Distribution } from '../../../bgp/distribution.ts';
import { UpdateGroups } from '../../../bgp/group/update-groups.ts';
import { LearnedRoutes } from '../../../bgp/learned-routes.ts';
import { failOnFault, TestRib } from '../../helpers/rib.ts';
import { VirtualTime } from '../../helpers/virtual-time.ts';

/** A distribution that takes `turnMs`, over a RIB with one peer. */
function begin(turnMs: number) {
  const time = new VirtualTime();
  const rib = new TestRib();
  const source = rib.source('10.0.0.1');
  const learned = new LearnedRoutes(rib.ribs);
  /** Times of the turns, and of the events. */
  const seen = { turns: [] as number[], changed: 0, converged: [] as number[] };
  const distribution = new Distribution({
    clock: time,
    ribs: rib.ribs,
    sources: rib.sources,
    groups: new UpdateGroups(rib.ribs, {
      workChanged: () => undefined,
      routeFault: failOnFault,
      groupFault: (_, error) => failOnFault(error),
    }),
    learned,
    sendEndOfRib: () => undefined,
    events: { changed: () => seen.changed++, converged: (seconds) => seen.converged.push(seconds) },
    guard: (run) => {
      seen.turns.push(time.now());
      run();
      time.pass(turnMs);
    },
  });
  return { time, rib, source, learned, seen, distribution };
}

it('all changes of a turn are distributed together, and reported once', () => {
  const { time, rib, source, learned, seen, distribution } = begin(0);
  for (const prefix of ['10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16']) {
    rib.announce(source, prefix);
    distribution.schedule();
  }
  expect(learned.routes.size).toBe(0);
  time.advance(0);
  expect(learned.routes.size).toBe(3);
  expect(seen).toEqual({ turns: [0], changed: 1, converged: [0] });
});

it('a distribution without changes reports nothing', () => {
  const { time, seen, distribution } = begin(0);
  distribution.schedule();
  time.advance(0);
  expect(seen).toEqual({ turns: [0], changed: 0, converged: [] });
});

it.each([
  [4, 4],
  [500, 10],
])('after one of %i ms the next waits %i ms; after a pause it does not wait', (turnMs, waitMs) => {
  const { time, seen, distribution } = begin(turnMs);
  distribution.schedule();
  time.advance(turnMs);
  distribution.schedule();
  time.advance(1000);
  expect(seen.turns).toEqual([0, turnMs + waitMs]);
  distribution.schedule();
  time.advance(0);
  expect(seen.turns.at(-1)).toBe(turnMs + 1000);
});

it('the source of a removed peer is released after its paths were withdrawn', () => {
  const { time, rib, source, distribution } = begin(0);
  rib.announce(source, '10.1.0.0/16');
  distribution.schedule();
  time.advance(0);
  rib.withdraw(source, '10.1.0.0/16');
  distribution.releaseSource(source);
  expect(rib.sources.at(source)).toBeDefined();
  distribution.schedule();
  time.advance(0);
  expect(rib.source('10.0.0.2')).toBe(source);
});
