import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ensureDefaults, ensurePools } from '../../../../agent/identity/node-setup.ts';
import { podNetwork, smallestAround } from '../../../../agent/identity/pod-network.ts';
import { readConfig } from '../../../../agent/inputs/environment.ts';
import { bgpConfigurationKind } from '../../../../datastore/schema/bgp-configuration.ts';
import { clusterInformationKind, felixConfigurationKind } from '../../../../datastore/schema/cluster.ts';
import { configMapKind, nodeKind } from '../../../../datastore/schema/core.ts';
import { type IPPool, ipPoolKind } from '../../../../datastore/schema/ip-pool.ts';
import { ipamConfigurationKind } from '../../../../datastore/schema/ipam.ts';
import { contains, formatCidr, mustCidr, networkOf } from '../../../../lib/cidr.ts';
import { MemoryStore } from '../../../helpers/memory-store.ts';

async function clusterOf(
  podCidrs: readonly string[][],
  { kubeadm, proxy }: { kubeadm?: string; proxy?: string } = {},
): Promise<MemoryStore> {
  const store = new MemoryStore();
  for (const [index, podCIDRs] of podCidrs.entries())
    await store.create(nodeKind, {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: `n${index}` },
      spec: { podCIDR: podCIDRs[0], podCIDRs },
      status: {},
    });
  const map = (name: string, data: Record<string, string>) =>
    store.create(configMapKind, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, namespace: 'kube-system' },
      data,
    });
  if (kubeadm)
    await map('kubeadm-config', { ClusterConfiguration: `networking:\n  podSubnet: ${kubeadm}\n` });
  if (proxy) await map('kube-proxy', { 'config.conf': `bindAddress: 0.0.0.0\nclusterCIDR: ${proxy}\n` });
  return store;
}

const nodes = [
  ['10.244.0.0/24', 'fd00:10:244::/64'],
  ['10.244.2.0/24', 'fd00:10:244:2::/64'],
];

describe('the pod network of a new cluster', () => {
  const network = async (...cluster: Parameters<typeof clusterOf>) => {
    const found = await podNetwork(await clusterOf(...cluster), 'cali-ipam');
    return [found[4]?.cidr, found[6]?.cidr];
  };

  it('is read from kubeadm, else from kube-proxy, separately for each family', async () => {
    const both = '10.244.0.0/16,fd00:10:244::/56';
    expect(await network(nodes, { kubeadm: both })).toEqual(['10.244.0.0/16', 'fd00:10:244::/56']);
    expect(await network(nodes, { kubeadm: `"${both}"` })).toEqual(['10.244.0.0/16', 'fd00:10:244::/56']);
    expect(await network([], { kubeadm: "'10.1.0.0/20'", proxy: '10.2.0.0/16,fd00::/56' })).toEqual([
      '10.1.0.0/20',
      'fd00::/56',
    ]);
    expect(await network(nodes, { kubeadm: '10.1.0.0/20' })).toEqual(['10.1.0.0/20', 'fd00:10:244::/62']);
    expect(await network(nodes, { kubeadm: '""', proxy: '""' })).toEqual([
      '10.244.0.0/16',
      'fd00:10:244::/62',
    ]);
  });

  it('is, for IPv6, the smallest range that contains the existing podCIDRs', async () => {
    expect(await network(nodes.slice(0, 1))).toEqual(['10.244.0.0/16', 'fd00:10:244::/64']);
    expect(await network(nodes)).toEqual(['10.244.0.0/16', 'fd00:10:244::/62']);
    expect(await network([['fd00:10:244::/120']])).toEqual([undefined, 'fd00:10:244::/120']);
    expect(await network([])).toEqual([undefined, undefined]);
  });

  it('leaves room for future nodes when pods have addresses of the podCIDRs', async () => {
    const found = await podNetwork(await clusterOf(nodes), 'host-local');
    expect(found[6]?.cidr).toBe('fd00:10:244::/48');
  });

  it('is the smallest network that contains all networks that it is calculated from', () => {
    const networks = fc.array(
      fc.record({ value: fc.bigInt(0n, 2n ** 32n - 1n), length: fc.integer({ min: 8, max: 32 }) }),
      { minLength: 1, maxLength: 6 },
    );
    fc.assert(
      fc.property(networks, (given) => {
        const cidrs = given.map((one) => networkOf({ family: 4, ...one }));
        const around = smallestAround(cidrs)!;
        expect(cidrs.every((cidr) => contains(around, cidr))).toBe(true);
        const longer = { ...cidrs[0]!, length: around.length + 1 };
        if (longer.length <= 32)
          expect(
            cidrs.every((cidr) => cidr.length >= longer.length && contains(networkOf(longer), cidr)),
          ).toBe(false);
      }),
    );
    expect(formatCidr(smallestAround([mustCidr('10.0.0.0/24')])!)).toBe('10.0.0.0/24');
  });
});

describe('the first agent of a cluster', () => {
  it('creates the pools and reports the source of each network', async () => {
    const store = await clusterOf(nodes, { proxy: '10.2.0.0/16' });
    const config = readConfig({ NODENAME: 'n0', CALICO_IPV6POOL_VXLAN: 'CrossSubnet' });
    expect(await ensurePools(config, [4, 6], store)).toEqual([
      { cidr: '10.2.0.0/16', source: 'clusterCIDR of ConfigMap kube-proxy' },
      { cidr: 'fd00:10:244::/62', source: 'podCIDRs of 2 nodes' },
    ]);
    const pools = store.all(ipPoolKind) as unknown as IPPool[];
    expect(pools.map(({ spec }) => spec.vxlanMode)).toEqual(['Never', 'CrossSubnet']);
    expect(await ensurePools(config, [4, 6], store)).toEqual([]);
  });

  it('creates the objects that every Calico cluster has, and keeps existing ones', async () => {
    const store = new MemoryStore();
    await store.create(felixConfigurationKind, {
      apiVersion: 'projectcalico.org/v3',
      kind: 'FelixConfiguration',
      metadata: { name: 'default' },
      spec: { vxlanMTU: 1400 },
    });
    for (let i = 0; i < 2; i++) await ensureDefaults(store);
    expect(store.all(felixConfigurationKind)).toMatchObject([{ spec: { vxlanMTU: 1400 } }]);
    for (const kind of [bgpConfigurationKind, clusterInformationKind, ipamConfigurationKind])
      expect(store.all(kind)).toMatchObject([{ metadata: { name: 'default' } }]);
  });
});
