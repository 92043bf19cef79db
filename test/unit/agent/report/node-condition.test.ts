import { beforeEach, expect, it } from 'vitest';
import { NodeCondition } from '../../../../agent/report/node-condition.ts';
import { DatastoreError } from '../../../../datastore/errors.ts';
import { type Node, nodeKind } from '../../../../datastore/schema/core.ts';
import { silentLog } from '../../../../lib/log.ts';
import { ManualClock } from '../../../helpers/manual-clock.ts';
import { MemoryStore } from '../../../helpers/memory-store.ts';

let store: MemoryStore;
let clock: ManualClock;
let condition: NodeCondition;
let writes: number;
beforeEach(async () => {
  store = new MemoryStore();
  clock = new ManualClock();
  writes = 0;
  condition = new NodeCondition('n1', { store, clock, log: silentLog });
  await store.create(nodeKind, {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n1' },
    status: { conditions: [{ type: 'Ready', status: 'True' }] },
  });
  store.after = (operation) => {
    if (operation === 'patch') writes++;
  };
});

async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}
const conditions = () => (store.all(nodeKind)[0] as unknown as Node).status.conditions;
const network = () => conditions()?.find(({ type }) => type === 'NetworkUnavailable');

it('is False with remarks while the network works, and other conditions stay', async () => {
  condition.update([], ['nft is not installed']);
  await settle();
  expect(network()).toMatchObject({
    status: 'False',
    reason: 'CaliIsUp',
    message: 'Cali is running on this node; nft is not installed',
    lastTransitionTime: '1970-01-01T00:00:00Z',
  });
  expect(conditions()).toHaveLength(2);
});

it('is True with all reasons while the network does not work', async () => {
  condition.update(['no API', 'no address'], ['remark']);
  await settle();
  expect(network()).toMatchObject({
    status: 'True',
    reason: 'CaliIsNotReady',
    message: 'no API; no address; remark',
  });
});

it('keeps the time of the transition while only the message changes', async () => {
  condition.update(['one']);
  await settle();
  clock.advance(60_000);
  condition.update(['two']);
  await settle();
  expect(network()).toMatchObject({
    message: 'two',
    lastHeartbeatTime: '1970-01-01T00:01:00Z',
    lastTransitionTime: '1970-01-01T00:00:00Z',
  });
  condition.update([]);
  await settle();
  expect(network()).toMatchObject({ status: 'False', lastTransitionTime: '1970-01-01T00:01:00Z' });
});

it('is not written again while nothing changes, also not by a restarted agent', async () => {
  condition.update(['one']);
  await settle();
  condition.update(['one']);
  await settle();
  const restarted = new NodeCondition('n1', { store, clock, log: silentLog });
  restarted.update(['one']);
  await settle();
  expect(writes).toBe(1);
});

it('is written with the last state when several changes arrive during a write', async () => {
  for (const reason of ['one', 'two', 'three']) condition.update([reason]);
  await settle();
  expect(network()).toMatchObject({ message: 'three' });
  expect(writes).toBe(2);
});

it('is written again two seconds after a failure, with the last state', async () => {
  store.before = async (operation) => {
    if (operation === 'patch') throw new DatastoreError('CONFLICT', 'the object has been modified');
  };
  condition.update(['one']);
  await settle();
  condition.update(['two']);
  await settle();
  store.before = async () => undefined;
  clock.advance(1_999);
  await settle();
  expect(writes).toBe(0);
  clock.advance(1);
  await settle();
  expect(network()).toMatchObject({ message: 'two' });
  expect(clock.next).toBeUndefined();
});

it('is not written again after close', async () => {
  store.before = async () => {
    throw new DatastoreError('UNAVAILABLE', 'no answer');
  };
  condition.update(['one']);
  await settle();
  condition.close();
  expect(clock.next).toBeUndefined();
});

it('waits for a Node that does not exist yet', async () => {
  await store.remove(nodeKind, 'n1');
  condition.update(['one']);
  await settle();
  expect(writes).toBe(0);
});
