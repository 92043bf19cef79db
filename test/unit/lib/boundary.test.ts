import { Gauge, Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { NodeEvents } from '../../../agent/report/node-events.ts';
import { NodeStatusReporter } from '../../../agent/report/node-status-reporter.ts';
import { Plugin, type PluginModules } from '../../../cni/plugin.ts';
import { calicoNodeStatusKind } from '../../../datastore/schema/node-status.ts';
import { Boundary } from '../../../lib/boundary.ts';
import { exposition } from '../../../lib/exposition.ts';
import { type Log, silentLog } from '../../../lib/log.ts';
import { systemTime } from '../../../lib/time.ts';
import { ManualClock } from '../../helpers/manual-clock.ts';
import { MemoryStore } from '../../helpers/memory-store.ts';

function recorded() {
  const errors: object[] = [];
  const log: Log = { ...silentLog, error: (fields) => void errors.push(fields) };
  return { errors, log, boundary: new Boundary(log) };
}
const fail = () => {
  throw new Error('broken');
};

it('a collector that throws costs Prometheus one metric, and is logged once', async () => {
  const { errors, boundary } = recorded();
  const registry = new Registry();
  const registers = [registry];
  new Gauge({ name: 'bad', help: 'h', registers, collect: fail });
  new Gauge({ name: 'good', help: 'h', registers }).set(7);
  for (let scrape = 0; scrape < 2; scrape++) {
    const { code, body } = await exposition(registry, boundary);
    expect([code, body]).toEqual([200, '# HELP good h\n# TYPE good gauge\ngood 7\n']);
  }
  expect(errors).toHaveLength(1);
  expect(boundary.faults()).toEqual(['metric bad has failed since the start: broken']);
});

it('a CNI call is answered with its outcome even when counting it fails', async () => {
  const { errors, log } = recorded();
  const options = {
    node: 'n1',
    mtu: () => 1500,
    families: () => [4 as const],
    routes: fail,
    notReady: () => undefined,
  };
  // VERSION uses no other module.
  const plugin = new Plugin(options, { log, time: systemTime, observe: fail } as unknown as PluginModules);
  const call = (command: string) => plugin.handle({ environment: { CNI_COMMAND: command }, stdin: '{}' });
  expect((await call('VERSION')).exitCode).toBe(0);
  expect((await call('NONE')).exitCode).toBe(1);
  expect(errors).toHaveLength(2);
});

it('a fault in an Event timer does not end the process', () => {
  const { boundary } = recorded();
  const clock = new ManualClock();
  const recorder = { ofNode: fail } as never;
  const troubles = [{ reason: 'R', message: 'm' }];
  const events = new NodeEvents('n1', { recorder, boundary, clock, current: () => troubles });
  events.update(troubles);
  clock.advance(60_000);
  expect(boundary.faults()).toHaveLength(1);
  events.close();
});

it('a CalicoNodeStatus is read again after a failed reading', async () => {
  const store = new MemoryStore();
  const clock = new ManualClock();
  const object = calicoNodeStatusKind.schema.parse({
    apiVersion: 'projectcalico.org/v3',
    kind: 'CalicoNodeStatus',
    metadata: { name: 's' },
    spec: { node: 'n1', classes: ['BGP'], updatePeriodSeconds: 10 },
  });
  await store.create(calicoNodeStatusKind, object);
  let reads = 0;
  const read = () => (++reads === 1 ? fail() : { agent: 'up' });
  const reporter = new NodeStatusReporter('n1', { store, clock, log: silentLog, read });
  reporter.update([object]);
  const settled = () => new Promise((resolve) => setTimeout(resolve, 1));
  await settled();
  clock.advance(10_000);
  await settled();
  expect(store.all(calicoNodeStatusKind)[0]?.['status']).toMatchObject({ agent: 'up' });
  reporter.close();
});
