import { beforeEach, describe, expect, it } from 'vitest';
import type { IPPool } from '../../../datastore/schema/ip-pool.ts';
import { type IPAMBlock, ipamBlockKind } from '../../../datastore/schema/ipam.ts';
import { allocationsOf } from '../../../ipam/block.ts';
import { Ipam } from '../../../ipam/ipam.ts';
import {
  assignTunnelAddress,
  heldTunnelAddress,
  isOutsidePools,
  releaseTunnelAddress,
} from '../../../ipip/tunnel-ipam.ts';
import { ManualClock } from '../../helpers/manual-clock.ts';
import { MemoryStore } from '../../helpers/memory-store.ts';
import { annotatedNode, ipPool } from '../../helpers/objects.ts';

const self = { ...annotatedNode('n1', { IPv4Address: '10.0.0.1/24' }), labels: { rack: 'a' } };
const always = { ipipMode: 'Always' };

let store: MemoryStore;
let pools: readonly IPPool[];
let ipam: Ipam;
beforeEach(() => {
  store = new MemoryStore();
  pools = [ipPool('10.1.0.0/16', always)];
  const view = {
    pools: () => pools,
    blocks,
    configuration: () => undefined,
    reservations: () => [],
    nodeLabels: () => self.labels,
  };
  ipam = new Ipam({ node: 'n1' }, { store, clock: new ManualClock(), view });
});
const blocks = () => store.all(ipamBlockKind) as unknown as IPAMBlock[];
const allocations = () =>
  blocks().flatMap(({ spec }) =>
    allocationsOf(spec).map(({ handleId, attributes }) => [handleId, attributes['type']]),
  );
const assign = () => assignTunnelAddress(ipam, 'ipip', { self, pools });

describe('an address of a tunnel in IPAM', () => {
  it('has Calico’s handle and attributes of its kind', async () => {
    pools = [
      ipPool('10.1.0.0/16', always, 'a'),
      ipPool('10.2.0.0/16', { vxlanMode: 'Always' }, 'b'),
      ipPool('fd00::/48', { vxlanMode: 'Always' }, 'c'),
    ];
    for (const kind of ['ipip', 'vxlan4', 'vxlan6'] as const)
      expect(await assignTunnelAddress(ipam, kind, { self, pools })).toBeDefined();
    expect(allocations()).toEqual([
      ['ipip-tunnel-addr-n1', 'ipipTunnelAddress'],
      ['vxlan-tunnel-addr-n1', 'vxlanTunnelAddress'],
      ['vxlan-v6-tunnel-addr-n1', 'vxlanV6TunnelAddress'],
    ]);
  });

  it('is assigned once, and released once', async () => {
    const address = await assign();
    expect(await assign()).toBe(address);
    expect(heldTunnelAddress(ipam, 'ipip', 'n1')).toBe(address);
    await releaseTunnelAddress(ipam, 'ipip', 'n1');
    expect([allocations(), heldTunnelAddress(ipam, 'ipip', 'n1')]).toEqual([[], undefined]);
    store.before = () => Promise.reject(new Error('nothing is left to release'));
    await releaseTunnelAddress(ipam, 'ipip', 'n1');
  });

  it.each<[string, object]>([
    ['is disabled', { ...always, disabled: true }],
    ['has another tunnel', { vxlanMode: 'Always' }],
    ['serves workloads only', { ...always, allowedUses: ['Workload'] }],
    ['selects other nodes', { ...always, nodeSelector: 'rack == "b"' }],
  ])('does not come from a pool that %s', async (_, spec) => {
    pools = [ipPool('10.1.0.0/16', spec, 'a'), ipPool('10.2.0.0/16', always, 'b')];
    expect(await assign()).toMatch(/^10\.2\./);
    pools = [ipPool('10.3.0.0/16', spec)];
    await releaseTunnelAddress(ipam, 'ipip', 'n1');
    expect(await assign()).toBeUndefined();
  });

  it('comes from a pool that selects the node', async () => {
    pools = [ipPool('10.1.0.0/16', { ...always, nodeSelector: 'rack == "a"' })];
    expect(await assign()).toMatch(/^10\.1\./);
  });

  it('is outside the pools when they no longer contain it, and is replaced', async () => {
    const address = await assign();
    expect(isOutsidePools(address, 'ipip', { self, pools })).toBe(false);
    pools = [ipPool('10.2.0.0/16', always)];
    expect(isOutsidePools(address, 'ipip', { self, pools })).toBe(true);
    expect(await assign()).toMatch(/^10\.2\./);
    expect(allocations()).toHaveLength(1);
  });

  it('is kept when no pool assigns addresses', async () => {
    const address = await assign();
    pools = [ipPool('10.1.0.0/16', { ...always, disabled: true })];
    expect(isOutsidePools(address, 'ipip', { self, pools })).toBe(false);
    expect(await assign()).toBe(address);
    pools = [];
    expect(await assign()).toBe(address);
  });

  it('that does not exist is never outside the pools', () => {
    expect(isOutsidePools(undefined, 'ipip', { self, pools })).toBe(false);
  });
});
