/** Garbage collection: addresses, handles and affinities that nobody will ever free. */
import type { Datastore } from '../datastore/datastore.ts';
import { blockAffinityKind, ipamBlockKind, ipamHandleKind, nameOfCidr } from '../datastore/schema/ipam.ts';
import { affinityOf } from './block.ts';
import { removeFromHandle } from './handle.ts';
import type { Ipam } from './ipam.ts';

export interface Collected {
  readonly addresses: readonly string[];
  readonly handles: readonly string[];
  readonly affinities: readonly string[];
}

/**
 * Frees what belongs to handles that are not alive. `isLive` must be true for every handle whose owner
 * exists or is just being made: an allocator writes the handle first. Only handles for which `isMine` holds
 * are looked at.
 */
export async function collectGarbage(
  store: Datastore,
  ipam: Ipam,
  isLive: (handleId: string) => boolean,
  isMine: (handleId: string, attributes: Readonly<Record<string, string>>) => boolean = () => true,
): Promise<Collected> {
  const addresses: string[] = [];
  const handles: string[] = [];
  const affinities: string[] = [];
  const blocks = await store.list(ipamBlockKind);
  for (const { spec } of blocks) {
    const freed = await ipam.releaseFrom(
      spec.cidr,
      ({ handleId, attributes }) => isMine(handleId, attributes) && !isLive(handleId),
    );
    addresses.push(...freed);
  }
  for (const { spec } of await store.list(ipamHandleKind)) {
    if (isLive(spec.handleID) || !isMine(spec.handleID, {})) continue;
    await removeFromHandle(store, spec.handleID, Object.keys(spec.block));
    handles.push(spec.handleID);
  }
  // A claim that died between its announcement and its block left an affinity to nothing.
  for (const { metadata, spec } of await store.list(blockAffinityKind)) {
    const block = await store.get(ipamBlockKind, nameOfCidr(spec.cidr));
    if (block?.spec.affinity === affinityOf(spec.node)) continue;
    const { resourceVersion } = metadata;
    if (await store.remove(blockAffinityKind, metadata.name, resourceVersion ? { resourceVersion } : {})) {
      affinities.push(metadata.name);
    }
  }
  return { addresses, handles, affinities };
}
