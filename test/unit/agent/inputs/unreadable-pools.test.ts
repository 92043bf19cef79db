import { describe, expect, it } from 'vitest';
import { absentPools, dependsOnAbsentPools } from '../../../../agent/inputs/unreadable-pools.ts';
import { nodeAnnotations, nodeKind } from '../../../../datastore/schema/core.ts';
import { ipPoolKind } from '../../../../datastore/schema/ip-pool.ts';
import { ipamBlockKind } from '../../../../datastore/schema/ipam.ts';
import { TunnelAddresses, type TunnelState } from '../../../../ipip/addresses.ts';
import { silentLog } from '../../../../lib/log.ts';
import { nodeInfo } from '../../../../model/node.ts';
import { ManualClock } from '../../../helpers/manual-clock.ts';
import { MemoryStore } from '../../../helpers/memory-store.ts';

const node = nodeKind.schema.parse({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: {
    name: 'n1',
    annotations: {
      [nodeAnnotations.ipv4Address]: '172.18.0.11/24',
      [nodeAnnotations.ipv4IPIPTunnelAddr]: '10.0.0.1',
    },
  },
});
const bare = nodeKind.schema.parse({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } });
const pool = (cidr: string, ipipMode = 'Never') =>
  ipPoolKind.schema.parse({
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPPool',
    metadata: { name: 'p' },
    spec: { cidr, ipipMode },
  });
const block = (cidr: string, owner: string) =>
  ipamBlockKind.schema.parse({
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPAMBlock',
    metadata: { name: 'b' },
    spec: { cidr, affinity: `host:${owner}`, allocations: [], unallocated: [], attributes: [] },
  });
const problem = { kind: 'IPPool', name: 'main', reason: 'both modes' };
const absent = absentPools([
  { problem, uid: undefined, conditions: undefined, isAbsent: true },
  { problem: { ...problem, name: 'kept' }, uid: undefined, conditions: undefined, isAbsent: false },
  { problem: { ...problem, kind: 'BGPPeer' }, uid: undefined, conditions: undefined, isAbsent: true },
]);

describe('an IPPool without a version in force', () => {
  it('is an unreadable one of which the agent has no former version', () => {
    expect(absent).toHaveLength(1);
    expect(absent[0]).toContain('IPPool main');
  });

  it('makes the node not ready when one of its tunnels or blocks belongs to no readable pool', () => {
    const blocks = [block('10.0.0.0/26', 'n1'), block('10.1.0.0/26', 'n2')];
    const [reason, ...others] = dependsOnAbsentPools(absent, { self: nodeInfo(node), pools: [], blocks });
    expect(others).toEqual([]);
    expect(reason).toMatch(/IPPool main.*both modes.*tunl0, block 10\.0\.0\.0\/26$/);
  });

  it('does not affect a node whose tunnels and blocks all belong to readable pools', () => {
    const blocks = [block('10.0.0.0/26', 'n1'), block('10.1.0.0/26', 'n2')];
    const pools = [pool('10.0.0.0/16', 'Always')];
    expect(dependsOnAbsentPools(absent, { self: nodeInfo(node), pools, blocks })).toEqual([]);
    expect(dependsOnAbsentPools(absent, { self: nodeInfo(bare), pools: [], blocks: [] })).toEqual([]);
    expect(dependsOnAbsentPools([], { self: nodeInfo(node), pools: [], blocks })).toEqual([]);
  });
});

describe('a tunnel of an earlier run that no readable pool needs', () => {
  const settled = () => new Promise((resolve) => setTimeout(resolve, 5));
  async function restarted(isUncertain: boolean) {
    const store = new MemoryStore();
    await store.create(nodeKind, node);
    const clock = new ManualClock();
    const released: string[] = [];
    const ipam = {
      assign: () => Promise.resolve([]),
      held: (handle: string) => (handle === 'ipip-tunnel-addr-n1' ? ['10.0.0.1'] : []),
      releaseAddresses: async () => undefined,
      releaseHandle: (handle: string) => {
        released.push(handle);
        return Promise.resolve([]);
      },
    };
    const addresses = new TunnelAddresses({ store, ipam, clock, log: silentLog, changed: () => undefined });
    const state: TunnelState = { self: nodeInfo(node), pools: [], wanted: [], up: [], isUncertain };
    addresses.update(state);
    await settled();
    clock.advance(60_000);
    await settled();
    const annotation = async () =>
      (await store.get(nodeKind, 'n1'))?.metadata.annotations?.[nodeAnnotations.ipv4IPIPTunnelAddr];
    return { addresses, state, clock, released, annotation };
  }

  it('keeps its address while a pool cannot be read', async () => {
    const { addresses, state, clock, released, annotation } = await restarted(true);
    expect(addresses.kinds()).toEqual(['ipip']);
    expect(addresses.address('ipip')).toBe('10.0.0.1');
    expect(await annotation()).toBe('10.0.0.1');
    expect(released).toEqual([]);
    // The corrected pool has no tunnel: the annotation, which other nodes read, is removed first.
    addresses.update({ ...state, isUncertain: false });
    await settled();
    expect(addresses.kinds()).toEqual(['ipip']);
    clock.advance(60_000);
    await settled();
    expect(addresses.kinds()).toEqual([]);
    expect(released).toEqual(['ipip-tunnel-addr-n1']);
    addresses.close();
  });

  it('is removed when all pools can be read', async () => {
    const { addresses, released, annotation } = await restarted(false);
    expect(addresses.kinds()).toEqual([]);
    expect(released).toEqual(['ipip-tunnel-addr-n1']);
    expect(await annotation()).toBeUndefined();
    addresses.close();
  });
});
