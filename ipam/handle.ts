/**
 * Handles record which blocks hold addresses of an owner. A handle is written at the same time as the block and removed
 * after it. The block is authoritative (its attributes name the handle); the handle serves to find it.
 */
import { createHash } from 'node:crypto';
import type { Datastore } from '../datastore/datastore.ts';
import { DatastoreError } from '../datastore/errors.ts';
import { type IPAMHandle, ipamHandleKind } from '../datastore/schema/ipam.ts';
import { CALICO_GROUP } from '../datastore/schema/resource.ts';

/** Returns the object name of a handle: the ID if it is a legal name, else a readable part and a hash. */
export function handleName(handleId: string): string {
  const legal = handleId.toLowerCase().replace(/[^a-z0-9.-]/g, '-');
  if (legal === handleId && legal.length <= 253) return legal;
  const hash = createHash('sha256').update(handleId).digest('hex').slice(0, 16);
  return `${legal.slice(0, 200).replace(/[^a-z0-9]+$/, '')}-${hash}`;
}

/** Adds addresses per block to a handle; false when the handle existed before. */
export async function addToHandle(
  store: Datastore,
  handleId: string,
  perBlock: Readonly<Record<string, number>>,
): Promise<boolean> {
  const object = {
    apiVersion: `${CALICO_GROUP}/v3`,
    kind: 'IPAMHandle',
    metadata: { name: handleName(handleId) },
    spec: { handleID: handleId, block: perBlock, deleted: false },
  };
  for (;;) {
    try {
      await store.create(ipamHandleKind, object);
      return true;
    } catch (error) {
      if (!(error instanceof DatastoreError) || error.code !== 'ALREADY_EXISTS') throw error;
    }
    const isFound = await changeHandle(store, handleId, (block) => {
      for (const [cidr, count] of Object.entries(perBlock)) block[cidr] = (block[cidr] ?? 0) + count;
    });
    // A release may remove the handle between the two requests.
    if (isFound) return false;
  }
}

/** Removes blocks from a handle, and the handle with its last block. */
export async function removeFromHandle(
  store: Datastore,
  handleId: string,
  cidrs: readonly string[],
): Promise<void> {
  await changeHandle(store, handleId, (block) => {
    for (const cidr of cidrs) delete block[cidr];
  });
}

export function getHandle(store: Datastore, handleId: string): Promise<IPAMHandle | undefined> {
  return store.get(ipamHandleKind, handleName(handleId));
}

/** Applies a change to the blocks of a handle; false when there is no such handle. */
async function changeHandle(
  store: Datastore,
  handleId: string,
  change: (block: Record<string, number>) => void,
): Promise<boolean> {
  for (;;) {
    const handle = await getHandle(store, handleId);
    if (!handle) return false;
    const block = { ...handle.spec.block };
    change(block);
    try {
      const { resourceVersion } = handle.metadata;
      if (Object.keys(block).length === 0) {
        await store.remove(ipamHandleKind, handle.metadata.name, resourceVersion ? { resourceVersion } : {});
      } else await store.update(ipamHandleKind, { ...handle, spec: { ...handle.spec, block } });
      return true;
    } catch (error) {
      if (!(error instanceof DatastoreError) || (error.code !== 'CONFLICT' && error.code !== 'NOT_FOUND'))
        throw error;
    }
  }
}
