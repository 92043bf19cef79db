import { beforeEach, describe, expect, it } from 'vitest';
import { deletePool } from '../../../calictl/pool-deletion.ts';
import { ipPoolKind, POOL_FINALIZER } from '../../../datastore/schema/ip-pool.ts';
import { ipamBlockKind } from '../../../datastore/schema/ipam.ts';
import { blockOf, podHolder } from '../../helpers/blocks.ts';
import { MemoryApi } from '../../helpers/memory-store.ts';
import { ipPool } from '../../helpers/objects.ts';

/** An API that keeps an object with finalizers when it is removed, as a real one does. */
class Api extends MemoryApi {
  override async remove(...[definition, name, options]: Parameters<MemoryApi['remove']>): Promise<boolean> {
    const object = this.all(definition).find(({ metadata }) => metadata.name === name);
    if (!object?.metadata.finalizers?.length) return super.remove(definition, name, options);
    await this.patch(definition, name, { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } });
    return true;
  }
}

let store: Api;
let writes: string[];
beforeEach(() => {
  store = new Api();
  writes = [];
  store.after = (operation) => writes.push(operation);
});

async function pool(metadata: object = {}): Promise<void> {
  const object = ipPool('10.0.0.0/24');
  await store.create(ipPoolKind, { ...object, metadata: { ...object.metadata, ...metadata } });
  writes = [];
}
const block = (...pods: string[]) =>
  store.create(ipamBlockKind, blockOf('n1', '10.0.0.0/26', ...pods.map((name) => podHolder(name))));
const finalizers = () => store.all(ipPoolKind)[0]?.metadata.finalizers;
const unreadable = (metadata: object, spec: object) =>
  store.put(ipPoolKind, 'p', {
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPPool',
    metadata: { name: 'p', ...metadata },
    spec,
  });

describe('the deletion of a pool', () => {
  it('removes an unused pool at once', async () => {
    await pool();
    await block();
    expect(await deletePool(store, 'p')).toEqual({ isRemoved: true });
    expect(store.all(ipPoolKind)).toEqual([]);
  });

  it('finds no pool if none exists', async () => {
    expect(await deletePool(store, 'p')).toEqual({ isRemoved: false });
  });

  it('keeps a pool in use with a finalizer, next to those of other programs, and says how long', async () => {
    await block('a', 'b');
    await pool({ finalizers: ['other.example/x'] });
    const { isRemoved, note } = await deletePool(store, 'p');
    expect(isRemoved).toBe(true);
    expect(note).toMatch(/^IPPool p is being deleted: 2 addresses are in use; it assigns no new ones/);
    expect(finalizers()).toEqual(['other.example/x', POOL_FINALIZER]);
  });

  it('does not add the finalizer twice', async () => {
    await block('a');
    await pool({ finalizers: [POOL_FINALIZER] });
    const { note } = await deletePool(store, 'p');
    expect(note).toContain('1 address is in use');
    expect(finalizers()).toEqual([POOL_FINALIZER]);
  });

  it('adds no finalizer to a pool that is already being deleted, because the server refuses that', async () => {
    await block('a');
    await pool({ finalizers: ['other.example/x'], deletionTimestamp: '2026-01-01T00:00:00Z' });
    await deletePool(store, 'p');
    expect(finalizers()).toEqual(['other.example/x']);
  });

  it('announces the end of an unused pool that has the finalizer', async () => {
    await pool({ finalizers: [POOL_FINALIZER] });
    expect((await deletePool(store, 'p')).note).toBe(
      'IPPool p is being deleted: no address is in use; cali-controllers will remove the pool shortly',
    );
  });

  it('keeps the pool while a block cannot be read, because addresses in it may be in use', async () => {
    store.put(ipamBlockKind, 'damaged', {});
    await pool();
    expect((await deletePool(store, 'p')).note).toContain('blocks that cannot be read may be in it');
    expect(finalizers()).toEqual([POOL_FINALIZER]);
  });
});

describe('the deletion of a pool that cannot be read', () => {
  const refusal = (count: string) => `IPPool p cannot be read (IPPool p cannot be read), and ${count}`;

  it('is refused while an address of its range is in use', async () => {
    unreadable({}, { cidr: '10.0.0.0/24', ipipMode: 'Sometimes' });
    await block('a');
    await expect(deletePool(store, 'p')).rejects.toThrow(refusal('1 address may be in use'));
    expect(writes).not.toContain('remove');
  });

  it('is refused while an address is in use that no other pool contains, if its range cannot be read either', async () => {
    unreadable({}, { cidr: 'nowhere' });
    await block('a');
    await expect(deletePool(store, 'p')).rejects.toThrow(refusal('1 address may be in use'));
    await store.create(ipPoolKind, ipPool('10.0.0.0/16', {}, 'other'));
    await expect(deletePool(store, 'p')).resolves.toBeDefined();
  });

  it('is refused while a block cannot be read', async () => {
    unreadable({}, { cidr: '10.0.0.0/24' });
    store.put(ipamBlockKind, 'damaged', {});
    await expect(deletePool(store, 'p')).rejects.toThrow(refusal('blocks that cannot be read may be in it'));
  });

  it('proceeds if only addresses outside its range are in use, or if it has the finalizer', async () => {
    await block('a');
    unreadable({}, { cidr: '10.9.0.0/24' });
    await expect(deletePool(store, 'p')).resolves.toBeDefined();
    unreadable({ finalizers: [POOL_FINALIZER] }, { cidr: '10.0.0.0/24' });
    await expect(deletePool(store, 'p')).resolves.toBeDefined();
  });
});
