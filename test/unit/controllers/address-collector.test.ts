import { beforeEach, describe, expect, it } from 'vitest';
import { AddressCollector } from '../../../controllers/address-collector.ts';
import { EventRecorder } from '../../../datastore/kubernetes/events.ts';
import { eventKind, nodeKind, podKind } from '../../../datastore/schema/core.ts';
import { ipPoolKind, POOL_FINALIZER } from '../../../datastore/schema/ip-pool.ts';
import { type IPAMBlock, ipamBlockKind } from '../../../datastore/schema/ipam.ts';
import { kubeControllersConfigurationKind } from '../../../datastore/schema/kube-controllers.ts';
import { allocationsOf } from '../../../ipam/block.ts';
import { Ipam } from '../../../ipam/ipam.ts';
import { silentLog } from '../../../lib/log.ts';
import { ManualClock } from '../../helpers/manual-clock.ts';
import { MemoryStore } from '../../helpers/memory-store.ts';
import { ipPool } from '../../helpers/objects.ts';

const MINUTE_MS = 60_000;
const pool = ipPool('10.1.0.0/16');
const settled = () => new Promise((resolve) => setImmediate(resolve));

let store: MemoryStore;
let clock: ManualClock;
let collector: AddressCollector;
let passes: number;
let unreadable: string | undefined;
let node: object;
beforeEach(async () => {
  store = new MemoryStore();
  clock = new ManualClock();
  unreadable = undefined;
  node = {};
  passes = 0;
  await store.create(ipPoolKind, pool);
  await store.create(nodeKind, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } });
  const modules = { store, clock, log: silentLog };
  collector = new AddressCollector({
    ...modules,
    events: new EventRecorder('test', modules),
    configuration: () => {
      passes++;
      const object = kubeControllersConfigurationKind.schema.parse({
        apiVersion: 'projectcalico.org/v3',
        kind: 'KubeControllersConfiguration',
        metadata: { name: 'default' },
        spec: { controllers: { node } },
      });
      return unreadable === undefined ? { object } : { object, unreadable };
    },
  });
});

const blocks = () => store.all(ipamBlockKind) as unknown as IPAMBlock[];
const handles = () => blocks().flatMap(({ spec }) => allocationsOf(spec).map(({ handleId }) => handleId));
function ipam(): Ipam {
  const view = {
    pools: () => [pool],
    blocks,
    configuration: () => undefined,
    reservations: () => [],
    nodeLabels: () => ({}),
  };
  return new Ipam({ node: 'n1' }, { store, clock, view });
}
async function assign(...pods: string[]): Promise<void> {
  for (const name of pods)
    await ipam().assign({
      handleId: name,
      attributes: { node: 'n1', namespace: 'default', pod: name },
      families: [4],
      namespaceLabels: {},
    });
}
async function run(name: string): Promise<void> {
  await store.create(podKind, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: { nodeName: 'n1' },
  });
}
async function look(): Promise<void> {
  collector.look();
  await settled();
}
async function advance(milliseconds: number): Promise<void> {
  clock.advance(milliseconds);
  await settled();
}

describe('the address collector', () => {
  it('frees the addresses of missing pods after the grace period, and writes an Event about their node', async () => {
    await assign('used', ...Array.from({ length: 7 }, (_, i) => `gone${i}`));
    await run('used');
    await look();
    expect(collector.stats).toMatchObject({ candidates: 7, reclaimed: 0, error: undefined });
    for (let minute = 0; minute < 14; minute++) await advance(MINUTE_MS);
    expect(handles()).toHaveLength(8);
    await advance(MINUTE_MS);
    expect(handles()).toEqual(['used']);
    expect(collector.stats.reclaimed).toBe(7);
    const [event, ...others] = store.all(eventKind);
    expect(others).toEqual([]);
    expect(event).toMatchObject({ reason: 'AddressesReclaimed', involvedObject: { name: 'n1' } });
    expect(event).toHaveProperty(
      'message',
      expect.stringMatching(/^Freed 10\.1\.\S+ \(pod .*\) and 2 more$/),
    );
  });

  it('looks again after the period, or earlier while it suspects something', async () => {
    await look();
    await advance(5 * MINUTE_MS - 1);
    expect(passes).toBe(1);
    await advance(1);
    expect(passes).toBe(2);
    await assign('gone');
    await look();
    await advance(MINUTE_MS);
    expect(passes).toBe(4);
  });

  it('looks once more after a pass during which something changed', async () => {
    collector.look();
    collector.look();
    collector.look();
    await settled();
    await settled();
    expect(passes).toBe(2);
  });

  it('collects nothing while the collection is disabled or the configuration is unreadable', async () => {
    await assign('gone');
    node = { leakGracePeriod: '0s' };
    await look();
    for (let minute = 0; minute < 40; minute += 5) await advance(5 * MINUTE_MS);
    expect(collector.stats.candidates).toBe(0);
    node = {};
    unreadable = 'spec is not an object';
    for (let minute = 0; minute < 40; minute += 5) await advance(5 * MINUTE_MS);
    expect(handles()).toEqual(['gone']);
    unreadable = undefined;
    for (let minute = 0; minute < 30; minute++) await advance(MINUTE_MS);
    expect(handles()).toEqual([]);
  });

  it('names why a pass failed, and retries', async () => {
    expect(collector.stats.error).toBe('the first pass has not finished yet');
    store.before = () => Promise.reject(new Error('the API is away'));
    await look();
    expect(collector.stats.error).toBe('the API is away');
    store.before = async () => undefined;
    await advance(10_000);
    expect(collector.stats.error).toBeUndefined();
    expect(collector.stats.snapshot?.pools).toHaveLength(1);
  });

  it('looks every two seconds at a deleted pool that still has blocks, and removes its finalizer after them', async () => {
    await assign('used');
    await run('used');
    await store.patch(ipPoolKind, 'p', {
      metadata: { deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: [POOL_FINALIZER] },
    });
    await look();
    await advance(2000);
    await advance(2000);
    expect(passes).toBe(3);
    await ipam().releaseHandle('used');
    for (let second = 0; second < 30; second += 2) await advance(2000);
    expect(blocks()).toEqual([]);
    expect((await store.get(ipPoolKind, 'p'))?.metadata.finalizers).toEqual([]);
  });

  it('does nothing after it is closed', async () => {
    await look();
    collector.close();
    await look();
    await advance(60 * MINUTE_MS);
    expect(passes).toBe(1);
  });
});
