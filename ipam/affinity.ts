/**
 * Claiming and giving back blocks. A block belongs to at most one node, and the block object is the truth;
 * the affinity object announces intent, so that a crash in between is recognised (Calico reference I-002, I-003):
 *
 *   claim    affinity pending -> create (or adopt) the block -> affinity confirmed
 *   release  affinity pendingDeletion -> delete the block if empty -> delete the affinity
 */
import type { Datastore } from '../datastore/datastore.ts';
import { DatastoreError } from '../datastore/kubernetes/transport.ts';
import { type BlockAffinity, blockAffinityKind, type IPAMBlock, ipamBlockKind, nameOfCidr } from '../datastore/schema/ipam.ts';
import { CALICO_GROUP } from '../datastore/schema/resource.ts';
import { affinityOf, isEmpty, newBlock } from './block.ts';

const apiVersion = `${CALICO_GROUP}/v3`;

/** Object name of a node's affinity to a block. */
export function affinityName(node: string, cidr: string): string {
  return `${node}-${nameOfCidr(cidr)}`;
}

/** Claims a block for a node; undefined when another node has it. Safe to repeat after a crash at any point. */
export async function claimBlock(store: Datastore, node: string, cidr: string, now: number): Promise<IPAMBlock | undefined> {
  const pending = await announce(store, node, cidr);
  const block = await createOrGet(store, node, cidr, now);
  if (block?.spec.affinity !== affinityOf(node)) {
    await store.remove(blockAffinityKind, pending.metadata.name, versionOf(pending));
    return undefined;
  }
  await store.update(blockAffinityKind, { ...pending, spec: { ...pending.spec, state: 'confirmed' } });
  return block;
}

/**
 * Gives an empty block back. False when it was not empty after all, or when somebody changed it meanwhile:
 * the affinity is then confirmed again.
 */
export async function releaseBlock(store: Datastore, node: string, block: IPAMBlock): Promise<boolean> {
  if (!isEmpty(block.spec)) return false;
  const name = affinityName(node, block.spec.cidr);
  const affinity = await store.get(blockAffinityKind, name);
  const marked =
    affinity &&
    (await store.update(blockAffinityKind, { ...affinity, spec: { ...affinity.spec, state: 'pendingDeletion' } }));
  try {
    await store.remove(ipamBlockKind, block.metadata.name, versionOf(block));
  } catch (error) {
    if (!(error instanceof DatastoreError) || error.code !== 'CONFLICT') throw error;
    if (marked) await store.update(blockAffinityKind, { ...marked, spec: { ...marked.spec, state: 'confirmed' } });
    return false;
  }
  if (marked) await store.remove(blockAffinityKind, name, versionOf(marked));
  return true;
}

async function announce(store: Datastore, node: string, cidr: string): Promise<BlockAffinity> {
  const name = affinityName(node, cidr);
  const spec = { state: 'pending' as const, node, type: 'host', cidr, deleted: false };
  try {
    return await store.create(blockAffinityKind, { apiVersion, kind: 'BlockAffinity', metadata: { name }, spec });
  } catch (error) {
    if (!(error instanceof DatastoreError) || error.code !== 'ALREADY_EXISTS') throw error;
  }
  // Left by an earlier claim or release that did not finish.
  const existing = await store.get(blockAffinityKind, name);
  if (!existing) return announce(store, node, cidr);
  return store.update(blockAffinityKind, { ...existing, spec });
}

async function createOrGet(store: Datastore, node: string, cidr: string, now: number): Promise<IPAMBlock | undefined> {
  const metadata = { name: nameOfCidr(cidr) };
  try {
    return await store.create(ipamBlockKind, { apiVersion, kind: 'IPAMBlock', metadata, spec: newBlock(cidr, node, now) });
  } catch (error) {
    if (!(error instanceof DatastoreError) || error.code !== 'ALREADY_EXISTS') throw error;
    return store.get(ipamBlockKind, metadata.name);
  }
}

function versionOf({ metadata }: { metadata: { resourceVersion?: string | undefined; uid?: string | undefined } }) {
  return {
    ...(metadata.resourceVersion ? { resourceVersion: metadata.resourceVersion } : {}),
    ...(metadata.uid ? { uid: metadata.uid } : {}),
  };
}
