/** Garbage collection: removes the findings of an audit that have persisted for the grace period. */
import type { Datastore } from '../datastore/datastore.ts';
import { DatastoreError } from '../datastore/errors.ts';
import { nodeKind, podKind } from '../datastore/schema/core.ts';
import { ipPoolKind } from '../datastore/schema/ip-pool.ts';
import {
  blockAffinityKind,
  type IPAMBlock,
  ipamBlockKind,
  ipamHandleKind,
  nameOfCidr,
} from '../datastore/schema/ipam.ts';
import { affinityName, releaseBlock } from './affinity.ts';
import { type Audit, type IpamSnapshot, type Leak, nodeOf } from './audit.ts';
import { type BlockSpec, isEmpty, release } from './block.ts';
import { blockProblems, hasOwnName } from './block-faults.ts';
import { getHandle, removeFromHandle } from './handle.ts';

/** Names of removed objects and addresses. */
export interface Collected {
  readonly addresses: readonly string[];
  readonly handles: readonly string[];
  readonly affinities: readonly string[];
  readonly blocks: readonly string[];
}

const MAX_ATTEMPTS = 20;

/** Reads the input of an audit, blocks before pods and pods before nodes. Throws DatastoreError. */
export async function readSnapshot(store: Datastore): Promise<IpamSnapshot> {
  const handles = await store.listing(ipamHandleKind);
  const [blocks, affinities] = await Promise.all([
    store.listing(ipamBlockKind),
    store.listing(blockAffinityKind),
  ]);
  const [pools, pods] = await Promise.all([store.listing(ipPoolKind), store.listing(podKind)]);
  const nodes = await store.listing(nodeKind);
  return {
    pools: pools.items,
    blocks: blocks.items.filter(hasOwnName),
    affinities: affinities.items,
    handles: handles.items,
    pods: pods.items,
    nodes: nodes.items,
    unreadable: [
      ...[pools, blocks, affinities, handles, pods, nodes].flatMap(({ problems }) => problems),
      ...blockProblems(blocks.items.filter((block) => !hasOwnName(block))).map(({ problem }) => problem),
    ],
  };
}

/**
 * Removes the findings. Each removal is a compare-and-swap, so an object that came into use again meanwhile is kept.
 * Other failures do not stop the rest; they are reported to `failed`.
 */
export async function collect(
  store: Datastore,
  found: Audit,
  failed: (what: string, error: unknown) => void = () => undefined,
): Promise<Collected> {
  const collected: Record<keyof Collected, string[]> = {
    addresses: [],
    handles: [],
    affinities: [],
    blocks: [],
  };
  const attempt = async (what: string, task: () => Promise<void>) => {
    try {
      await task();
    } catch (error) {
      failed(what, error);
    }
  };
  for (const [cidr, leaks] of groupBy(found.leaks, ({ cidr }) => cidr)) {
    await attempt(`addresses of block ${cidr}`, async () => {
      collected.addresses.push(...(await releaseLeaks(store, cidr, leaks)));
    });
  }
  // The audit reports all of a handle's addresses as leaks, or none.
  const freed = new Set(collected.addresses);
  const handles = found.leaks.filter(({ address }) => freed.has(address)).map(({ handleId }) => handleId);
  for (const handleId of new Set(handles)) {
    await attempt(`handle ${handleId}`, async () => {
      const handle = await getHandle(store, handleId);
      if (!handle) return;
      await removeFromHandle(store, handleId, Object.keys(handle.spec.block));
      collected.handles.push(handleId);
    });
  }
  for (const { metadata, spec } of found.spareHandles) {
    await attempt(`handle ${spec.handleID}`, async () => {
      if (await store.remove(ipamHandleKind, metadata.name, versionOf(metadata)))
        collected.handles.push(spec.handleID);
    });
  }
  for (const block of found.orphans) {
    await attempt(`block ${block.spec.cidr}`, async () => {
      const node = nodeOf(block);
      if (node !== undefined && (await disown(store, block.spec.cidr, node)))
        collected.blocks.push(block.spec.cidr);
    });
  }
  for (const block of found.spareBlocks) {
    await attempt(`block ${block.spec.cidr}`, async () => {
      const node = nodeOf(block);
      const isGone = node
        ? await releaseBlock(store, node, block)
        : await store.remove(ipamBlockKind, block.metadata.name, versionOf(block.metadata));
      if (isGone) collected.blocks.push(block.spec.cidr);
    });
  }
  for (const { metadata } of found.spareAffinities) {
    await attempt(`affinity ${metadata.name}`, async () => {
      if (await store.remove(blockAffinityKind, metadata.name, versionOf(metadata)))
        collected.affinities.push(metadata.name);
    });
  }
  return collected;
}

/** Releases these allocations of a block, but not later ones of the same addresses. Returns the addresses. */
export async function releaseLeaks(
  store: Datastore,
  cidr: string,
  leaks: readonly Leak[],
): Promise<string[]> {
  let freed: readonly string[] = [];
  await changeBlock(store, cidr, (spec) => {
    const result = release(spec, ({ address, handleId, sequence }) =>
      leaks.some(
        (leak) => leak.address === address && leak.handleId === handleId && leak.sequence === sequence,
      ),
    );
    freed = result.addresses;
    return result.block;
  });
  return [...freed];
}

/**
 * Removes a block of a former node if it is empty; else clears its affinity, as others borrow from it (I-003, I-035).
 */
async function disown(store: Datastore, cidr: string, node: string): Promise<boolean> {
  const block = await store.get(ipamBlockKind, nameOfCidr(cidr));
  if (!block || nodeOf(block) !== node) return false;
  if (isEmpty(block.spec)) return releaseBlock(store, node, block);
  await changeBlock(store, cidr, (spec) => {
    if (spec.affinity !== block.spec.affinity) return spec;
    const { affinity: _, ...rest } = spec;
    return rest;
  });
  await store.remove(blockAffinityKind, affinityName(node, cidr));
  return false;
}

/** Changes a block by compare-and-swap; an unchanged spec is not written. A missing block is not an error. */
async function changeBlock(
  store: Datastore,
  cidr: string,
  change: (spec: BlockSpec) => BlockSpec,
): Promise<IPAMBlock | undefined> {
  for (let attempt = 1; ; attempt++) {
    const block = await store.get(ipamBlockKind, nameOfCidr(cidr));
    const spec = block && change(block.spec);
    if (!block || spec === block.spec) return block;
    try {
      return await store.update(ipamBlockKind, { ...block, spec: spec! });
    } catch (error) {
      if (!(error instanceof DatastoreError) || error.code !== 'CONFLICT' || attempt >= MAX_ATTEMPTS)
        throw error;
    }
  }
}

function versionOf({ resourceVersion }: { resourceVersion?: string | undefined }) {
  return resourceVersion ? { resourceVersion } : {};
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}
