/** Metrics of the controllers, with kube-controllers' names (Calico reference 7.1). */
import { Gauge, Registry } from 'prom-client';
import type { IPPool } from '../datastore/schema/ip-pool.ts';
import type { IPAMBlock } from '../datastore/schema/ipam.ts';
import { nodeOf } from '../ipam/audit.ts';
import { allocationsOf } from '../ipam/block.ts';
import { contains, mustCidr, sizeOf } from '../lib/cidr.ts';
import type { CollectorStats } from './address-collector.ts';

export function createMetrics(read: () => CollectorStats): Registry {
  const registry = new Registry();
  const registers = [registry];
  const gauge = <L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    fill: (set: (labels: Record<L, string>, value: number) => void, stats: CollectorStats) => void,
  ) =>
    new Gauge({
      name,
      help,
      labelNames: [...labelNames],
      registers,
      collect() {
        this.reset();
        const sums = new Map<string, { labels: Record<L, string>; value: number }>();
        fill((labels, value) => {
          const key = JSON.stringify(labels);
          sums.set(key, { labels, value: (sums.get(key)?.value ?? 0) + value });
        }, read());
        for (const { labels, value } of sums.values()) this.set(labels, value);
      },
    });
  const perBlock = (name: string, help: string, count: (block: IPAMBlock) => number) =>
    gauge(name, help, ['ippool', 'node'], (set, { snapshot }) => {
      for (const block of snapshot?.blocks ?? []) {
        const value = count(block);
        if (value > 0)
          set({ ippool: poolOf(snapshot!.pools, block), node: nodeOf(block) ?? 'no_affinity' }, value);
      }
    });
  perBlock('ipam_blocks', 'Blocks by pool and node', () => 1);
  perBlock(
    'ipam_allocations_in_use',
    'Addresses in use by pool and node',
    ({ spec }) => allocationsOf(spec).length,
  );
  perBlock(
    'ipam_allocations_borrowed',
    'Addresses that another node than the block’s uses',
    (block) =>
      allocationsOf(block.spec).filter(
        ({ attributes }) => (attributes['node'] ?? nodeOf(block)) !== nodeOf(block),
      ).length,
  );
  gauge('ipam_allocations_gc_candidates', 'What is suspected to be leaked', [], (set, { candidates }) =>
    set({}, candidates),
  );
  gauge('ipam_allocations_gc_reclamations', 'Addresses freed since the start', [], (set, { reclaimed }) =>
    set({}, reclaimed),
  );
  gauge('ipam_ippool_size', 'Addresses of a pool', ['ippool'], (set, { snapshot }) => {
    for (const { metadata, spec } of snapshot?.pools ?? [])
      set({ ippool: metadata.name }, Number(sizeOf(mustCidr(spec.cidr))));
  });
  return registry;
}

function poolOf(pools: readonly IPPool[], { spec }: IPAMBlock): string {
  const network = mustCidr(spec.cidr);
  return pools.find((pool) => contains(mustCidr(pool.spec.cidr), network))?.metadata.name ?? 'no_ippool';
}
