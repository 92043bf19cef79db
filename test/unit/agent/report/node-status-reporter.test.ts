import { expect, it } from 'vitest';
import { NodeStatusReporter } from '../../../../agent/report/node-status-reporter.ts';
import { calicoNodeStatusKind } from '../../../../datastore/schema/node-status.ts';
import { silentLog } from '../../../../lib/log.ts';
import { ManualClock } from '../../../helpers/manual-clock.ts';
import { MemoryStore } from '../../../helpers/memory-store.ts';

it('a status that cannot be read fails only this write, which is retried after the period', async () => {
  const clock = new ManualClock();
  const store = new MemoryStore();
  const object = calicoNodeStatusKind.schema.parse({
    apiVersion: 'projectcalico.org/v3',
    kind: 'CalicoNodeStatus',
    metadata: { name: 's' },
    spec: { node: 'n1', classes: ['Agent'], updatePeriodSeconds: 10 },
  });
  await store.create(calicoNodeStatusKind, object);
  let reads = 0;
  const read = () => {
    if (reads++ < 2) throw new TypeError('broken');
    return { agent: { reads } };
  };
  const reporter = new NodeStatusReporter('n1', { store, clock, log: silentLog, read });
  reporter.update([object]);
  for (let round = 1; round <= 3; round++) {
    expect(reads).toBe(round);
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    clock.advance(10_000);
  }
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  expect(store.all(calicoNodeStatusKind)[0]).toMatchObject({ status: { agent: { reads: 4 } } });
  reporter.close();
});
