/** Prometheus metrics of the controllers, with Calico's names when Calico has one, else with `cali_`. */
import { Registry } from 'prom-client';
import type { IPPool } from '../datastore/schema/ip-pool.ts';
import { blockSizeOf } from '../datastore/schema/ip-pool.ts';
import type { IPAMBlock } from '../datastore/schema/ipam.ts';
import { nodeOf } from '../ipam/audit.ts';
import { allocationsOf } from '../ipam/block.ts';
import { contains, mustCidr, sizeOf } from '../lib/cidr.ts';
import { registerProcessMetrics } from '../lib/process-metrics.ts';
import { exposeCounter, exposeGauge, type Reading } from '../lib/series.ts';
import type { CollectorStats } from './address-collector.ts';

export function createMetrics(read: () => CollectorStats): Registry {
  const registry = new Registry();
  registerProcessMetrics(registry);
  const pools = () => read().snapshot?.pools ?? [];
  const blocks = () => read().snapshot?.blocks ?? [];
  const perBlock = (name: string, help: string, count: (block: IPAMBlock) => number) =>
    exposeGauge(registry, {
      name,
      help,
      labels: ['ippool', 'node'],
      read: () =>
        blocks().flatMap((block): Reading[] => {
          const value = count(block);
          const labels = { ippool: poolOf(pools(), block), node: nodeOf(block) ?? 'no_affinity' };
          return value > 0 ? [[labels, value]] : [];
        }),
    });
  perBlock('ipam_blocks', 'Blocks by pool and node', () => 1);
  perBlock(
    'ipam_allocations_in_use',
    'Addresses in use by pool and node',
    ({ spec }) => allocationsOf(spec).length,
  );
  perBlock(
    'ipam_allocations_borrowed',
    'Addresses used by a node other than the block’s',
    (block) =>
      allocationsOf(block.spec).filter(
        ({ attributes }) => (attributes['node'] ?? nodeOf(block)) !== nodeOf(block),
      ).length,
  );
  exposeGauge(registry, {
    name: 'ipam_allocations_gc_candidates',
    help: 'Addresses that may be leaked',
    read: () => read().candidates,
  });
  exposeCounter(registry, {
    name: 'ipam_allocations_gc_reclamations',
    help: 'Leaked addresses freed since the process started',
    read: () => read().reclaimed,
  });
  exposeGauge(registry, {
    name: 'ipam_ippool_size',
    help: 'Number of addresses in a pool',
    labels: ['ippool'],
    read: () =>
      pools().map(
        ({ metadata, spec }): Reading => [{ ippool: metadata.name }, Number(sizeOf(mustCidr(spec.cidr)))],
      ),
  });
  exposeGauge(registry, {
    name: 'cali_ipam_free_blocks',
    help: 'Unclaimed blocks of a pool; at 0, a new node gets none',
    labels: ['ippool'],
    read: () => [
      ...pools().map((pool): Reading => [{ ippool: pool.metadata.name }, blockCount(pool)]),
      ...blocks().flatMap((block): Reading[] => {
        const ippool = poolOf(pools(), block);
        return pools().some(({ metadata }) => metadata.name === ippool) ? [[{ ippool }, -1]] : [];
      }),
    ],
  });
  exposeGauge(registry, {
    name: 'cali_controllers_ready',
    help: '1 if the last pass over all addresses succeeded; the log gives the reason for a failure',
    read: () => Number(read().error === undefined),
  });
  return registry;
}

/** Returns the number of blocks that fit into a pool. */
function blockCount(pool: IPPool): number {
  const { length } = mustCidr(pool.spec.cidr);
  return 2 ** Math.max(0, blockSizeOf(pool) - length);
}

function poolOf(pools: readonly IPPool[], { spec }: IPAMBlock): string {
  const network = mustCidr(spec.cidr);
  return pools.find((pool) => contains(mustCidr(pool.spec.cidr), network))?.metadata.name ?? 'no_ippool';
}
