/**
 * Claims and releases blocks. A block belongs to at most one node, and the block object is authoritative. The affinity
 * object announces the intent, so that an interrupted claim or release is recognised (Calico reference I-002, I-003):
 *
 *   claim    affinity pending -> create (or adopt) the block -> affinity confirmed
 *   release  affinity pendingDeletion -> delete the block if empty -> delete the affinity
 */
import type { Datastore } from '../datastore/datastore.ts';
import { DatastoreError } from '../datastore/errors.ts';
import {
  type BlockAffinity,
  blockAffinityKind,
  type IPAMBlock,
  ipamBlockKind,
  nameOfCidr,
} from '../datastore/schema/ipam.ts';
import { CALICO_GROUP } from '../datastore/schema/resource.ts';
import { affinityOf, isEmpty, newBlock } from './block.ts';

const apiVersion = `${CALICO_GROUP}/v3`;
const MAX_ATTEMPTS = 20;

/** Returns the object name of a node's affinity to a block. */
export function affinityName(node: string, cidr: string): string {
  return `${node}-${nameOfCidr(cidr)}`;
}

/**
 * Claims a block for a node; undefined when another node owns it. Safe to repeat after a crash at any point. Safe with
 * a second process of the same node too (two agents for a moment): the loser of a compare-and-swap reads again.
 */
export async function claimBlock(
  store: Datastore,
  node: string,
  cidr: string,
  now: number,
): Promise<IPAMBlock | undefined> {
  return retryOnConflict(async () => {
    const affinity = await announce(store, node, cidr);
    const block = await createOrGet(store, node, cidr, now);
    // A block with this name and another network is not the requested one.
    if (block?.spec.affinity !== affinityOf(node) || block.spec.cidr !== cidr) {
      await store.remove(blockAffinityKind, affinity.metadata.name, versionOf(affinity));
      return undefined;
    }
    if (affinity.spec.state !== 'confirmed') await setState(store, affinity, 'confirmed');
    return block;
  });
}

/**
 * Releases an empty block. Returns false when it is not empty, or when another writer changed it meanwhile; then the
 * affinity is confirmed again.
 */
export async function releaseBlock(store: Datastore, node: string, block: IPAMBlock): Promise<boolean> {
  if (!isEmpty(block.spec)) return false;
  const name = affinityName(node, block.spec.cidr);
  try {
    const affinity = await store.get(blockAffinityKind, name);
    const marked = affinity && (await setState(store, affinity, 'pendingDeletion'));
    try {
      await store.remove(ipamBlockKind, block.metadata.name, versionOf(block));
    } catch (error) {
      if (marked) await setState(store, marked, 'confirmed');
      throw error;
    }
    if (marked) await store.remove(blockAffinityKind, name, versionOf(marked));
    return true;
  } catch (error) {
    if (isLostRace(error)) return false;
    throw error;
  }
}

async function announce(store: Datastore, node: string, cidr: string): Promise<BlockAffinity> {
  const name = affinityName(node, cidr);
  const spec = { state: 'pending' as const, node, type: 'host', cidr, deleted: false };
  const existing = await store.get(blockAffinityKind, name);
  if (!existing)
    return store.create(blockAffinityKind, { apiVersion, kind: 'BlockAffinity', metadata: { name }, spec });
  // Resume an unfinished claim or release. Keep a confirmed affinity, which may be in use.
  return existing.spec.state === 'confirmed' ? existing : setState(store, existing, 'pending');
}

function setState(
  store: Datastore,
  affinity: BlockAffinity,
  state: BlockAffinity['spec']['state'],
): Promise<BlockAffinity> {
  return store.update(blockAffinityKind, { ...affinity, spec: { ...affinity.spec, state } });
}

async function retryOnConflict<T>(task: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await task();
    } catch (error) {
      if (!isLostRace(error) || attempt >= MAX_ATTEMPTS) throw error;
    }
  }
}

/** Whether another writer changed, created or removed the object first. */
function isLostRace(error: unknown): boolean {
  return error instanceof DatastoreError && ['CONFLICT', 'NOT_FOUND', 'ALREADY_EXISTS'].includes(error.code);
}

async function createOrGet(
  store: Datastore,
  node: string,
  cidr: string,
  now: number,
): Promise<IPAMBlock | undefined> {
  const metadata = { name: nameOfCidr(cidr) };
  try {
    return await store.create(ipamBlockKind, {
      apiVersion,
      kind: 'IPAMBlock',
      metadata,
      spec: newBlock(cidr, node, now),
    });
  } catch (error) {
    if (!(error instanceof DatastoreError) || error.code !== 'ALREADY_EXISTS') throw error;
    return store.get(ipamBlockKind, metadata.name);
  }
}

function versionOf({
  metadata,
}: {
  metadata: { resourceVersion?: string | undefined; uid?: string | undefined };
}) {
  return {
    ...(metadata.resourceVersion ? { resourceVersion: metadata.resourceVersion } : {}),
    ...(metadata.uid ? { uid: metadata.uid } : {}),
  };
}
