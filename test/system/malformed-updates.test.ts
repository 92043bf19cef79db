/** A peer with many malformed messages cannot fill the log. */
import { expect, it } from 'vitest';
import type { Log } from '../../lib/log.ts';
import { LOG_INTERVAL_MS } from '../../lib/log-limiter.ts';
import { ManualClock } from '../helpers/manual-clock.ts';
import { A, B, reflector, restart, speaker } from '../helpers/reflector-under-test.ts';
import { until } from '../helpers/scripted-peer.ts';

const UPDATE = 2;
/** Announces 10.1.0.0/16 with this ORIGIN; a value above 2 withdraws the route (RFC 7606 section 7.1). */
const withOrigin = (value: number) =>
  `0000 0015 4001010${value} 400200 4003040afe0001 40050400000064 10 0a01`;

it('10,000 malformed UPDATEs make one line, and then one per interval with their number', async () => {
  const lines: { peer: unknown; fields: object; message: string }[] = [];
  const recorder = (peer?: unknown): Log => ({
    debug() {},
    info() {},
    error() {},
    warn: (fields, message) => void lines.push({ peer, fields, message }),
    child: (fields) => recorder(fields['peer']),
  });
  const clock = new ManualClock();
  const { connect } = await reflector([A, B], undefined, { clock, log: recorder() });
  const [a, b] = [await connect(A), await connect(B, restart(60))];
  const received = (address: string) =>
    speaker.status().find(({ config }) => config.address === address)?.malformed?.count;
  for (let count = 0; count < 10_000; count++) a.sendBytes(UPDATE, withOrigin(9));
  await until(() => received(A) === 10_000);
  const first = { reason: 'ORIGIN 9', verdict: 'withdraw' };
  const message = 'malformed UPDATE';
  expect(lines).toEqual([{ peer: A, fields: first, message }]);
  // Another peer has its own line.
  b.sendBytes(UPDATE, withOrigin(8));
  await until(() => received(B) === 1);
  expect(lines).toHaveLength(2);
  clock.advance(LOG_INTERVAL_MS);
  const summary = { ...first, repeats: 9_999, seconds: LOG_INTERVAL_MS / 1000 };
  expect(lines.slice(2)).toEqual([{ peer: A, fields: summary, message }]);
  expect(speaker.status()[0]?.malformed).toEqual({ count: 10_000, lastReason: 'ORIGIN 9' });
  // Within the next interval, a fault waits for its summary.
  a.sendBytes(UPDATE, withOrigin(7));
  await until(() => received(A) === 10_001);
  expect(lines).toHaveLength(3);
  clock.advance(LOG_INTERVAL_MS);
  expect(lines.slice(3)).toEqual([
    { peer: A, fields: { ...summary, reason: 'ORIGIN 7', repeats: 1 }, message },
  ]);
  // After an interval without faults, the next one is logged at once.
  clock.advance(LOG_INTERVAL_MS);
  a.sendBytes(UPDATE, withOrigin(6));
  await until(() => received(A) === 10_002);
  expect(lines.slice(4)).toEqual([{ peer: A, fields: { ...first, reason: 'ORIGIN 6' }, message }]);
});

it('10,000 markers of a refresh before End-of-RIB make one line', async () => {
  const lines: string[] = [];
  const log: Log = {
    debug() {},
    info() {},
    error() {},
    warn: (_, message) => void lines.push(message),
    child: () => log,
  };
  const clock = new ManualClock();
  const { connect } = await reflector([A], undefined, { clock, log });
  const a = await connect(A, { ...restart(60), hasEnhancedRefresh: true });
  for (let count = 0; count < 10_000; count++) a.send({ type: 'route-refresh', family: 4, subtype: 1 });
  a.sendBytes(UPDATE, withOrigin(0));
  await until(() => speaker.routeCount === 1);
  expect(lines).toHaveLength(1);
  clock.advance(LOG_INTERVAL_MS);
  expect(lines).toHaveLength(2);
});
