import { describe, expect, it } from 'vitest';
import { clusterObjects } from '../../../lab/cluster-objects.ts';
import { topologyOf } from '../../../lab/topology.ts';

const topology = topologyOf({
  nodes: 2,
  pods: 1,
  subnets: 2,
  ipv6: true,
  encap: 'ipip',
  mode: 'CrossSubnet',
});
const pools = (objects: ReturnType<typeof clusterObjects>) =>
  objects.filter(({ kind }) => kind === 'IPPool').map(({ metadata, spec }) => ({ metadata, spec }));

describe('the objects of a new lab', () => {
  it('have one pool per family, with tunnels that the family can use', () => {
    expect(pools(clusterObjects(topology, 'ipip'))).toEqual([
      {
        metadata: { name: 'default-ipv4-ippool' },
        spec: { cidr: '10.244.0.0/16', natOutgoing: true, ipipMode: 'CrossSubnet' },
      },
      {
        metadata: { name: 'default-ipv6-ippool' },
        spec: { cidr: 'fd00:10:244::/48', natOutgoing: true, vxlanMode: 'CrossSubnet' },
      },
    ]);
    expect(pools(clusterObjects({ ...topology, ipv6: false }, 'none'))).toEqual([
      { metadata: { name: 'default-ipv4-ippool' }, spec: { cidr: '10.244.0.0/16', natOutgoing: true } },
    ]);
  });

  it('keep what the topology sets for a pool', () => {
    const own = { ...topology, pools: [{ cidr: '10.9.0.0/16', vxlanMode: 'Always', natOutgoing: false }] };
    expect(pools(clusterObjects(own, 'ipip'))).toEqual([
      { metadata: { name: 'pool1' }, spec: { cidr: '10.9.0.0/16', vxlanMode: 'Always', natOutgoing: false } },
    ]);
  });

  it('set the periods of cali-controllers unless the topology has its own', () => {
    const kinds = (objects: typeof topology.objects) =>
      clusterObjects({ ...topology, objects }, 'none').filter(
        ({ kind }) => kind === 'KubeControllersConfiguration',
      );
    const own = { apiVersion: 'projectcalico.org/v3', kind: 'KubeControllersConfiguration', spec: {} };
    expect(kinds([])).toHaveLength(1);
    expect(kinds([own])).toEqual([own]);
  });
});
