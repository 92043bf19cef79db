/** Limit of the blocks of one node (maxBlocksPerHost). */
import type { IPAMBlock, IPAMConfiguration } from '../datastore/schema/ipam.ts';
import { type Family, parseCidr } from '../lib/cidr.ts';
import { IpamError } from './address-source.ts';
import { affinityOf } from './block.ts';

/** Blocks per node when maxBlocksPerHost is 0 (Calico). */
const DEFAULT_BLOCK_LIMIT = 20;

/** Throws IpamError BLOCK_LIMIT, with Calico's message, when the node may not claim another block. */
export function assertBlockLimit(
  family: Family,
  node: string,
  blocks: readonly IPAMBlock[],
  configuration: IPAMConfiguration['spec'] | undefined,
): void {
  const limit = configuration?.maxBlocksPerHost || DEFAULT_BLOCK_LIMIT;
  const mine = blocks.filter(
    ({ spec }) => spec.affinity === affinityOf(node) && parseCidr(spec.cidr)?.family === family,
  );
  if (mine.length < limit && configuration?.autoAllocateBlocks !== false) return;
  throw new IpamError(
    'BLOCK_LIMIT',
    `cannot allocate new block due to per host block limit: node ${node} has ${mine.length} of ${limit} IPv${family} blocks. ` +
      'Raise maxBlocksPerHost in IPAMConfiguration default',
  );
}
