import { describe, expect, it } from 'vitest';
import { encapsulation, encapsulationWarnings } from '../../../ipip/encapsulation.ts';
import type { TunnelKind } from '../../../model/tunnel.ts';
import { annotatedNode, ipPool } from '../../helpers/objects.ts';

describe('the next hops of a route', () => {
  const far = annotatedNode('n3', {
    IPv4Address: '10.0.9.9/24',
    IPv4IPIPTunnelAddr: '10.1.3.1',
    IPv4VXLANTunnelAddr: '10.1.3.2',
  });
  const bare = annotatedNode('n4', { IPv4Address: '10.0.8.8/24' });
  const tunnelled = (spec: object, ...up: TunnelKind[]) => ({
    self: annotatedNode('n1', { IPv4Address: '10.0.0.1/24' }),
    nodes: [far, bare],
    pools: [ipPool('10.1.0.0/16', spec)],
    up,
    addressOf: () => '10.1.0.9',
  });

  it('uses a tunnel only while both ends are up (F-055, F-068)', () => {
    const hops = ['10.0.0.2', '10.0.9.9', '10.0.8.8', '10.0.7.7'];
    expect(encapsulation(tunnelled({ ipipMode: 'CrossSubnet' }, 'ipip'))('10.1.3.0/26', hops)).toEqual({
      gateways: ['10.0.0.2', '10.0.8.8'],
      // The last gateway is not a node of the cluster: a router may terminate IPIP (B-074).
      tunnels: ['10.0.9.9', '10.0.7.7'].map((gateway) => ({ gateway, device: 'tunl0', isOnlink: true })),
    });
    expect(encapsulation(tunnelled({ vxlanMode: 'Always' }, 'vxlan4'))('10.1.3.0/26', hops)).toEqual({
      gateways: ['10.0.0.2', '10.0.8.8', '10.0.7.7'],
      tunnels: [{ gateway: '10.1.3.2', device: 'vxlan.cali', isOnlink: true }],
    });
    expect(encapsulation(tunnelled({ ipipMode: 'Always' }, 'ipip'))('10.1.3.0/26', ['10.0.9.9'])).toEqual({
      gateways: [],
      tunnels: [{ gateway: '10.0.9.9', device: 'tunl0', isOnlink: true }],
      source: '10.1.0.9',
    });
    for (const [spec, prefix] of [
      [{ ipipMode: 'Always' }, '10.1.3.0/26'],
      [{ vxlanMode: 'Always' }, '10.2.0.0/26'],
    ] as const)
      expect(encapsulation(tunnelled(spec, 'vxlan4'))(prefix, hops)).toEqual({ gateways: hops });
  });

  it('names the node that prevents a tunnel, and warns that a /32 has no subnet', () => {
    const pools = [ipPool('10.1.0.0/16', { vxlanMode: 'CrossSubnet' })];
    const warnings = encapsulationWarnings({
      ...tunnelled({}, 'vxlan4'),
      self: annotatedNode('n1', { IPv4Address: '10.0.0.1/32' }),
      pools,
    });
    expect(warnings[0]).toMatch(/^the address of this node, 10\.0\.0\.1\/32, has no subnet/);
    expect(warnings[1]).toMatch(/^node n4 has no vxlan\.cali yet/);
    expect(warnings).toHaveLength(2);
    expect(encapsulationWarnings(tunnelled({ vxlanMode: 'CrossSubnet' }))).toEqual([]);
  });
});
