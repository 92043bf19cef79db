import { describe, expect, it } from 'vitest';
import { desiredTunnels, endRoutes, type TunnelsInput } from '../../../ipip/desired.ts';
import { vtepMac } from '../../../model/tunnel.ts';
import { annotatedNode } from '../../helpers/objects.ts';

const self = annotatedNode('n1', { IPv4Address: '10.0.0.1/24', IPv6Address: 'fd01::1/64' });
const far = annotatedNode('n2', {
  IPv4Address: '10.0.9.9/24',
  IPv6Address: 'fd01::2/64',
  IPv4VXLANTunnelAddr: '10.2.2.0',
  VXLANTunnelMACAddr: '66:00:00:00:00:02',
  IPv6VXLANTunnelAddr: 'fd00::2',
});
const input: TunnelsInput = {
  self,
  nodes: [self, far, annotatedNode('n3', { IPv4Address: '10.0.0.3/24' })],
  kinds: ['ipip', 'vxlan4', 'vxlan6'],
  addressOf: (kind) => ({ ipip: '10.1.0.1', vxlan4: '10.2.0.1', vxlan6: undefined })[kind],
  uplinkMtu: 1500,
  settings: { mtu: { ipip: 0, vxlan4: 0, vxlan6: 0 }, vxlanPort: 4790, vxlanVni: 5 },
};

describe('the tunnel devices that a node should have', () => {
  it('have the address from IPAM, the MTU, and VNI, port and MAC address for VXLAN', () => {
    expect(desiredTunnels(input)).toEqual([
      { kind: 'ipip', address: '10.1.0.1', mtu: 1480 },
      {
        kind: 'vxlan4',
        address: '10.2.0.1',
        mtu: 1450,
        vxlan: {
          vni: 5,
          port: 4790,
          local: '10.0.0.1',
          mac: vtepMac('n1', 4),
          // n3 has not published an end.
          remotes: [{ address: '10.2.2.0', mac: '66:00:00:00:00:02', node: '10.0.9.9' }],
        },
      },
      {
        kind: 'vxlan6',
        address: undefined,
        mtu: 1430,
        vxlan: {
          vni: 5,
          port: 4790,
          local: 'fd01::1',
          mac: vtepMac('n1', 6),
          remotes: [{ address: 'fd00::2', mac: vtepMac('n2', 6), node: 'fd01::2' }],
        },
      },
    ]);
  });

  it('exclude tunnels of a family in which the node has no address', () => {
    const ipv4Only = annotatedNode('n1', { IPv4Address: '10.0.0.1/24' });
    expect(desiredTunnels({ ...input, self: ipv4Only }).map(({ kind }) => kind)).toEqual(['ipip', 'vxlan4']);
  });

  it.each([
    ['tunnel address', { IPv4Address: '10.0.9.9/24', IPv4VXLANTunnelAddr: '10.2.0.1' }],
    ['node address', { IPv4Address: '10.0.0.1/24', IPv4VXLANTunnelAddr: '10.2.2.0' }],
    [
      'MAC address',
      {
        IPv4Address: '10.0.9.9/24',
        IPv4VXLANTunnelAddr: '10.2.2.0',
        VXLANTunnelMACAddr: vtepMac('n1', 4),
      },
    ],
  ])('have no entry for a node that claims this node’s %s', (_, annotations) => {
    const [tunnel] = desiredTunnels({
      ...input,
      kinds: ['vxlan4'],
      nodes: [annotatedNode('n9', annotations)],
    });
    expect(tunnel?.vxlan?.remotes).toEqual([]);
  });
});

describe('routes to the other ends of a tunnel', () => {
  it('exist for IPv6 only, because IPv4 gateways are onlink', () => {
    expect(endRoutes(desiredTunnels(input))).toEqual([
      {
        destination: 'fd00::2/128',
        type: 'unicast',
        protocol: 'local',
        device: 'vxlan-v6.cali',
        gateways: [],
      },
    ]);
  });
});
