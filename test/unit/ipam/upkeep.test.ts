import { expect, it } from 'vitest';
import {
  type BlockAffinity,
  blockAffinityKind,
  type IPAMBlock,
  ipamBlockKind,
} from '../../../datastore/schema/ipam.ts';
import { claimBlock } from '../../../ipam/affinity.ts';
import { Ipam } from '../../../ipam/ipam.ts';
import { IpamUpkeep } from '../../../ipam/upkeep.ts';
import { Boundary } from '../../../lib/boundary.ts';
import { silentLog } from '../../../lib/log.ts';
import { ManualClock } from '../../helpers/manual-clock.ts';
import { MemoryStore } from '../../helpers/memory-store.ts';

/** Starts the IPAM upkeep of node n1, which has a confirmed block. */
async function started() {
  const store = new MemoryStore();
  const clock = new ManualClock();
  const blocks = () => store.all(ipamBlockKind) as unknown as IPAMBlock[];
  const affinities = () => store.all(blockAffinityKind) as unknown as BlockAffinity[];
  const view = {
    pools: () => [],
    blocks,
    configuration: () => undefined,
    reservations: () => [],
    nodeLabels: () => ({}),
  };
  const upkeep = new IpamUpkeep(
    { node: 'n1', startedAt: 0 },
    {
      ipam: new Ipam({ node: 'n1' }, { store, view, clock }),
      store,
      view: { affinities, blocks, pod: () => undefined },
      handles: () => [],
      boundary: new Boundary(silentLog),
      clock,
      log: silentLog,
    },
  );
  const states = () => affinities().map(({ spec }) => spec.state);
  const leaveHalfWay = async (state: 'pending' | 'pendingDeletion') => {
    for (const affinity of affinities())
      await store.update(blockAffinityKind, { ...affinity, spec: { ...affinity.spec, state } });
    upkeep.update();
  };
  await claimBlock(store, 'n1', '10.0.0.0/26', 1);
  return { store, clock, upkeep, states, leaveHalfWay };
}
const settled = () => new Promise((resolve) => setTimeout(resolve, 1));

it('an agent that starts confirms at once the affinities that its predecessor left unfinished', async () => {
  const { states, leaveHalfWay } = await started();
  await leaveHalfWay('pending');
  await settled();
  expect(states()).toEqual(['confirmed']);
});

it('a running agent confirms an unfinished affinity only after any claim of it must have ended', async () => {
  const { clock, upkeep, states, leaveHalfWay } = await started();
  upkeep.update();
  for (const state of ['pending', 'pendingDeletion'] as const) {
    await leaveHalfWay(state);
    clock.advance(9_999);
    await settled();
    expect(states()).toEqual([state]);
    clock.advance(1);
    await settled();
    expect(states()).toEqual(['confirmed']);
  }
});

it('an agent retries when the API refuses, and leaves a block that another node has claimed meanwhile', async () => {
  const { store, clock, upkeep, states, leaveHalfWay } = await started();
  upkeep.update();
  await leaveHalfWay('pending');
  store.before = async () => {
    throw new Error('the API is away');
  };
  clock.advance(10_000);
  await settled();
  expect(states()).toEqual(['pending']);
  store.before = async () => undefined;
  clock.advance(10_000);
  await settled();
  expect(states()).toEqual(['confirmed']);
  await leaveHalfWay('pending');
  const [block] = store.all(ipamBlockKind) as unknown as IPAMBlock[];
  await store.update(ipamBlockKind, { ...block!, spec: { ...block!.spec, affinity: 'host:n2' } });
  clock.advance(10_000);
  await settled();
  expect(states()).toEqual(['pending']);
  upkeep.close();
});
