/** IPAMHandles under concurrent changes. */
import { expect, it } from 'vitest';
import { ipamHandleKind } from '../../../datastore/schema/ipam.ts';
import { addToHandle, getHandle } from '../../../ipam/handle.ts';
import { MemoryStore } from '../../helpers/memory-store.ts';

it('a handle is created again when a release removes it between the two requests', async () => {
  const store = new MemoryStore();
  await addToHandle(store, 'pod', { '10.0.0.0/26': 1 });
  let isRemoved = false;
  store.before = async (operation) => {
    if (operation !== 'get' || isRemoved) return;
    isRemoved = true;
    await store.remove(ipamHandleKind, 'pod');
  };
  expect(await addToHandle(store, 'pod', { '10.0.1.0/26': 1 })).toBe(true);
  expect((await getHandle(store, 'pod'))?.spec.block).toEqual({ '10.0.1.0/26': 1 });
});
