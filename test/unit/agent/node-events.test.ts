import { expect, it } from 'vitest';
import { NodeEvents } from '../../../agent/node-events.ts';
import type { EventRecorder } from '../../../datastore/kubernetes/events.ts';
import { Boundary } from '../../../lib/boundary.ts';
import { silentLog } from '../../../lib/log.ts';
import { ManualClock } from '../../helpers/manual-clock.ts';

it('at most twenty troubles of a reason get an Event, and those of other reasons get theirs', () => {
  const clock = new ManualClock();
  const events: string[] = [];
  const recorder: Pick<EventRecorder, 'ofNode'> = {
    ofNode: (_node, { type, message }) => void events.push(`${type} ${message}`),
  };
  const node = new NodeEvents('n1', { recorder, boundary: new Boundary(silentLog), clock });
  const troubles = Array.from({ length: 20_000 }, (_, i) => ({
    reason: 'DataplaneProblem',
    message: `${i}`,
  }));
  const other = { reason: 'TunnelProblem', message: 'no device' };
  node.update([...troubles, other]);
  clock.advance(15_000);
  expect(events).toHaveLength(21);
  expect(events).toContain('Warning no device');
  // The place of one that is over is taken by the next.
  events.length = 0;
  node.update([...troubles.slice(1), other]);
  clock.advance(15_000);
  expect(events).toEqual(['Normal Over: 0', 'Warning 20']);
});

it('an Event has the latest cause, and a cause that changes makes no second Event', () => {
  const clock = new ManualClock();
  const events: string[] = [];
  const recorder: Pick<EventRecorder, 'ofNode'> = {
    ofNode: (_node, { type, message }) => void events.push(`${type} ${message}`),
  };
  const node = new NodeEvents('n1', { recorder, boundary: new Boundary(silentLog), clock });
  const down = (cause?: string) =>
    node.update([{ reason: 'BGPSessionDown', message: 'The BGP session with 10.0.0.2 is down', cause }]);
  down();
  clock.advance(10_000);
  down('connection refused');
  clock.advance(5_000);
  down('hold timer expired');
  clock.advance(15_000);
  node.update([]);
  expect(events).toEqual([
    'Warning The BGP session with 10.0.0.2 is down: connection refused',
    'Normal Over: The BGP session with 10.0.0.2 is down',
  ]);
});
