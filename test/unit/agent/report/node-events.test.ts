import { expect, it } from 'vitest';
import { NodeEvents, type Trouble } from '../../../../agent/report/node-events.ts';
import type { EventRecorder } from '../../../../datastore/kubernetes/events.ts';
import { Boundary } from '../../../../lib/boundary.ts';
import { silentLog } from '../../../../lib/log.ts';
import { ManualClock } from '../../../helpers/manual-clock.ts';

/** NodeEvents on a manual clock, the Events that it writes, and functions to set the current troubles. */
function eventsOf() {
  const clock = new ManualClock();
  const events: string[] = [];
  const recorder: Pick<EventRecorder, 'ofNode'> = {
    ofNode: (_node, { type, message }) => void events.push(`${type} ${message}`),
  };
  let now: readonly Trouble[] = [];
  const modules = { recorder, boundary: new Boundary(silentLog), clock, current: () => now };
  const node = new NodeEvents('n1', modules);
  return {
    clock,
    events,
    /** Sets the current troubles without a call of `update`. */
    become: (troubles: readonly Trouble[]) => {
      now = troubles;
    },
    update: (troubles: readonly Trouble[]) => {
      now = troubles;
      node.update(troubles);
    },
  };
}

it('a problem that clears within the delay gets no Event', () => {
  const { clock, events, become, update } = eventsOf();
  update([{ reason: 'BGPSessionDown', message: 'down' }]);
  become([]);
  clock.advance(60_000);
  expect(events).toEqual([]);
});

it('a problem that is normal at startup gets an Event only when it outlasts the startup period', () => {
  const { clock, events, update } = eventsOf();
  update([{ reason: 'NetworkNotReady', message: 'not in sync yet', patienceMs: 60_000 }]);
  clock.advance(59_000);
  expect(events).toEqual([]);
  clock.advance(1_000);
  expect(events).toEqual(['Warning not in sync yet']);
});

it('at most twenty problems per reason get an Event, and other reasons keep their own quota', () => {
  const { clock, events, update } = eventsOf();
  const troubles = Array.from({ length: 20_000 }, (_, i) => ({
    reason: 'DataplaneProblem',
    message: `${i}`,
  }));
  const other = { reason: 'TunnelProblem', message: 'no device' };
  update([...troubles, other]);
  clock.advance(15_000);
  expect(events).toHaveLength(21);
  expect(events).toContain('Warning no device');
  // A problem that ends makes room for the next.
  events.length = 0;
  update([...troubles.slice(1), other]);
  clock.advance(15_000);
  expect(events).toEqual(['Normal Resolved: 0', 'Warning 20']);
});

it('an Event carries the latest cause, and a changed cause creates no second Event', () => {
  const { clock, events, update } = eventsOf();
  const down = (cause?: string) =>
    update([{ reason: 'BGPSessionDown', message: 'The BGP session with 10.0.0.2 is down', cause }]);
  down();
  clock.advance(10_000);
  down('connection refused');
  clock.advance(5_000);
  down('hold timer expired');
  clock.advance(15_000);
  update([]);
  expect(events).toEqual([
    'Warning The BGP session with 10.0.0.2 is down: connection refused',
    'Normal Resolved: The BGP session with 10.0.0.2 is down',
  ]);
});
