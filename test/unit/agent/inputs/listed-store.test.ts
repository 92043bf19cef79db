import { beforeEach, expect, it } from 'vitest';
import { type Copies, listedStore } from '../../../../agent/inputs/listed-store.ts';
import type { Listing } from '../../../../datastore/datastore.ts';
import { nodeKind } from '../../../../datastore/schema/core.ts';
import { ipPoolKind } from '../../../../datastore/schema/ip-pool.ts';
import { ManualClock } from '../../../helpers/manual-clock.ts';
import { MemoryStore } from '../../../helpers/memory-store.ts';
import { ipPool } from '../../../helpers/objects.ts';

let store: MemoryStore;
let requests: string[];
let clock: ManualClock;
beforeEach(() => {
  clock = new ManualClock();
  store = new MemoryStore();
  requests = [];
  store.before = async (operation) => void requests.push(operation);
});

const copies = (listing: Promise<Listing<typeof ipPoolKind>> | undefined): Copies => ({
  listed: ((definition: unknown) => (definition === ipPoolKind ? listing : undefined)) as Copies['listed'],
});
const copy = { items: [ipPool('10.0.0.0/24')], problems: [] };

it('a kind with a copy is read from it, without a request', async () => {
  const listed = listedStore(store, copies(Promise.resolve(copy)), clock);
  expect(await listed.list(ipPoolKind)).toEqual(copy.items);
  expect(await listed.listing(ipPoolKind)).toEqual(copy);
  expect(requests).toEqual([]);
});

it('a kind without a copy, and a list with a selector, are requested', async () => {
  const listed = listedStore(store, copies(Promise.resolve(copy)), clock);
  expect(await listed.list(nodeKind)).toEqual([]);
  expect(await listed.list(ipPoolKind, { labelSelector: 'a=b' })).toEqual([]);
  expect(requests).toEqual(['list', 'list']);
});

it('a copy that is still incomplete after five seconds is requested, so that its error is seen', async () => {
  const listed = listedStore(store, copies(new Promise(() => undefined)), clock);
  store.before = async () => {
    throw new Error('certificate has expired');
  };
  const failed = listed.list(ipPoolKind).catch(String);
  clock.advance(4_999);
  expect(clock.next).toBe(5_000);
  clock.advance(1);
  expect(await failed).toBe('Error: certificate has expired');
});

it('a copy that fails is reported as its error', async () => {
  const listed = listedStore(store, copies(Promise.reject(new Error('broken'))), clock);
  await expect(listed.list(ipPoolKind)).rejects.toThrow('broken');
  expect([requests, clock.next]).toEqual([[], undefined]);
});

it('writes and reads of single objects always go to the server', async () => {
  const listed = listedStore(store, copies(Promise.resolve(copy)), clock);
  const pool = await listed.create(ipPoolKind, ipPool('10.0.0.0/24'));
  await listed.update(ipPoolKind, pool);
  await listed.patch(ipPoolKind, 'p', {});
  await listed.get(ipPoolKind, 'p');
  await listed.remove(ipPoolKind, 'p');
  expect(requests).toEqual(['create', 'update', 'patch', 'get', 'remove']);
});
