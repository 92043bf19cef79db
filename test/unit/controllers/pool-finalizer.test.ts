import { beforeEach, describe, expect, it } from 'vitest';
import { isSameForDeletion, PoolDeletion } from '../../../controllers/pool-deletion.ts';
import { type IPPool, ipPoolKind, POOL_FINALIZER } from '../../../datastore/schema/ip-pool.ts';
import { type IPAMBlock, ipamBlockKind } from '../../../datastore/schema/ipam.ts';
import type { IpamSnapshot } from '../../../ipam/audit.ts';
import { blockOf, podHolder } from '../../helpers/blocks.ts';
import { MemoryStore } from '../../helpers/memory-store.ts';
import { ipPool } from '../../helpers/objects.ts';

const CIDR = '10.0.0.0/26';
const OTHER = 'other.example/finalizer';

let store: MemoryStore;
let deletion: PoolDeletion;
let failures: string[];
beforeEach(() => {
  store = new MemoryStore();
  deletion = new PoolDeletion(store);
  failures = [];
});

async function pool(metadata: object, name = 'p', cidr = '10.0.0.0/24'): Promise<void> {
  const object = ipPool(cidr, {}, name);
  await store.create(ipPoolKind, { ...object, metadata: { ...object.metadata, ...metadata } });
}
const deleted = (...finalizers: string[]) => ({ deletionTimestamp: '2026-01-01T00:00:00Z', finalizers });
const add = (block: IPAMBlock) => store.create(ipamBlockKind, block);
async function look(now: number, more: Partial<IpamSnapshot> = {}) {
  const [pools, blocks] = await Promise.all([store.list(ipPoolKind), store.list(ipamBlockKind)]);
  return deletion.look({ pools, blocks, ...more }, now, (name) => failures.push(name));
}
const finalizers = (name = 'p') =>
  store.all(ipPoolKind).find(({ metadata }) => metadata.name === name)?.metadata.finalizers;

describe('the finalizer of a pool', () => {
  it('is added next to those of other programs, once', async () => {
    await pool({ finalizers: [OTHER] });
    expect(await look(0)).toEqual({ released: [], isWaiting: false });
    await look(1);
    expect(finalizers()).toEqual([OTHER, POOL_FINALIZER]);
  });

  it('is added to a pool whose list is null', async () => {
    await pool({ finalizers: null });
    await look(0);
    expect(finalizers()).toEqual([POOL_FINALIZER]);
  });

  it('stays for three seconds after the deletion, because agents may still assign addresses', async () => {
    await pool(deleted(POOL_FINALIZER, OTHER));
    expect(await look(1_000)).toEqual({ released: [], isWaiting: true });
    expect(await look(3_999)).toEqual({ released: [], isWaiting: true });
    expect(await look(4_000)).toEqual({ released: ['p'], isWaiting: false });
    expect(finalizers()).toEqual([OTHER]);
  });

  it('waits again after a restart of the controllers', async () => {
    await pool(deleted(POOL_FINALIZER));
    await look(0);
    deletion = new PoolDeletion(store);
    expect(await look(10_000)).toEqual({ released: [], isWaiting: true });
  });

  it('stays while a block holds an address, and empty blocks are removed', async () => {
    await pool(deleted(POOL_FINALIZER));
    await add(blockOf('n1', CIDR, podHolder('a')));
    await add(blockOf(undefined, '10.0.0.64/26'));
    await look(0);
    expect(await look(5_000)).toEqual({ released: [], isWaiting: true });
    expect(store.all(ipamBlockKind).map(({ metadata }) => metadata.name)).toEqual(['10-0-0-0-26']);
    await store.remove(ipamBlockKind, '10-0-0-0-26');
    expect((await look(6_000)).released).toEqual(['p']);
  });

  it('stays while a block cannot be read, because it may belong to the pool', async () => {
    await pool(deleted(POOL_FINALIZER));
    const unreadable = [{ kind: 'IPAMBlock', name: 'x', reason: 'cannot be read' }];
    await look(0, { unreadable });
    expect((await look(5_000, { unreadable })).released).toEqual([]);
    const others = [{ kind: 'Pod', name: 'x', reason: 'cannot be read' }];
    expect((await look(6_000, { unreadable: others })).released).toEqual(['p']);
  });

  it('does not wait for blocks that another pool contains', async () => {
    await pool(deleted(POOL_FINALIZER));
    await pool({ finalizers: [POOL_FINALIZER] }, 'larger', '10.0.0.0/16');
    await add(blockOf('n1', CIDR, podHolder('a')));
    await look(0);
    expect((await look(5_000)).released).toEqual(['p']);
  });

  it('is not awaited once it is removed, although another program keeps the pool', async () => {
    await pool(deleted(POOL_FINALIZER, OTHER));
    await look(0);
    await look(5_000);
    expect(await look(10_000)).toEqual({ released: [], isWaiting: false });
    expect(await look(20_000)).toEqual({ released: [], isWaiting: false });
  });

  it('of a pool that cannot be written does not delay the others', async () => {
    await pool({}, 'a');
    await pool({}, 'b', '10.1.0.0/24');
    let writes = 0;
    store.before = async (operation) => {
      if (operation === 'patch' && writes++ === 0) throw new Error('no answer');
    };
    await look(0);
    expect([failures, finalizers('a'), finalizers('b')]).toEqual([['a'], undefined, [POOL_FINALIZER]]);
  });

  it('of a new pool with the name of a deleted one starts a new wait', async () => {
    await pool({ ...deleted(POOL_FINALIZER) });
    await look(0);
    await store.remove(ipPoolKind, 'p');
    await pool({ ...deleted(POOL_FINALIZER) });
    expect((await look(5_000)).released).toEqual([]);
  });
});

describe('a change of a pool', () => {
  const one: IPPool = ipPool('10.0.0.0/24');

  it.each([
    ['its status', { ...one, status: { conditions: [] } }],
    ['its version', { ...one, metadata: { ...one.metadata, resourceVersion: '9' } }],
    ['its labels', { ...one, metadata: { ...one.metadata, labels: { a: 'b' } } }],
  ])('in only %s needs no pass', (_, other) => {
    expect(isSameForDeletion(one, other as IPPool)).toBe(true);
  });

  it.each([
    ['spec', { ...one, spec: { ...one.spec, disabled: true } }],
    ['deletion', { ...one, metadata: { ...one.metadata, deletionTimestamp: 'x' } }],
    ['finalizers', { ...one, metadata: { ...one.metadata, finalizers: ['x'] } }],
    ['existence', undefined],
  ])('in its %s needs one', (_, other) => {
    expect(isSameForDeletion(one, other as IPPool | undefined)).toBe(false);
  });
});
