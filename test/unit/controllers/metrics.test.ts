import { describe, expect, it } from 'vitest';
import type { CollectorStats } from '../../../controllers/address-collector.ts';
import { createMetrics } from '../../../controllers/metrics.ts';
import { ipamBlockKind } from '../../../datastore/schema/ipam.ts';
import { assignNext, newBlock } from '../../../ipam/block.ts';
import { ipPool } from '../../helpers/objects.ts';

/** Returns a block of n1, with an address for a pod on each of the nodes. */
function block(cidr: string, ...nodes: string[]) {
  let spec = newBlock(cidr, 'n1', 1);
  for (const [index, node] of nodes.entries())
    spec = assignNext(spec, { handleId: `h${index}`, attributes: { node } }, () => false)?.block ?? spec;
  return ipamBlockKind.schema.parse({
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPAMBlock',
    metadata: { name: cidr.replace(/[./]/g, '-') },
    spec,
  });
}
/** Returns the lines of the metrics that are about IPAM or readiness. */
async function lines(stats: Partial<CollectorStats>): Promise<string[]> {
  const registry = createMetrics(() => ({
    snapshot: undefined,
    candidates: 0,
    reclaimed: 0,
    error: undefined,
    ...stats,
  }));
  const text = await registry.metrics();
  return text.split('\n').filter((line) => /^(cali_)?(ipam|controllers)_/.test(line));
}

describe('the metrics of the controllers', () => {
  it('count blocks and addresses by pool and node, and free blocks by pool', async () => {
    const snapshot = {
      pools: [ipPool('10.1.0.0/24', { blockSize: 26 })],
      blocks: [block('10.1.0.0/26', 'n1', 'n2'), block('10.1.0.64/26'), block('10.9.0.0/26', 'n1')],
    };
    const found = await lines({ snapshot, candidates: 3, reclaimed: 4 });
    expect(found.toSorted()).toEqual(
      [
        'cali_controllers_ready 1',
        'cali_ipam_free_blocks{ippool="p"} 2',
        'ipam_allocations_borrowed{ippool="p",node="n1"} 1',
        'ipam_allocations_gc_candidates 3',
        'ipam_allocations_gc_reclamations 4',
        'ipam_allocations_in_use{ippool="no_ippool",node="n1"} 1',
        'ipam_allocations_in_use{ippool="p",node="n1"} 2',
        'ipam_blocks{ippool="no_ippool",node="n1"} 1',
        'ipam_blocks{ippool="p",node="n1"} 2',
        'ipam_ippool_size{ippool="p"} 256',
      ].toSorted(),
    );
  });

  it('say that the controllers are not ready while a pass fails, and count nothing before the first', async () => {
    expect(await lines({ error: 'the API is away' })).toEqual([
      'ipam_allocations_gc_candidates 0',
      'ipam_allocations_gc_reclamations 0',
      'cali_controllers_ready 0',
    ]);
  });
});
