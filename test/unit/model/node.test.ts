import { describe, expect, it } from 'vitest';
import { nodeKind, serviceKind } from '../../../datastore/schema/core.ts';
import { reflectorNamespaces, reflectorsFrom } from '../../../felix/calc/bgp/reflectors.ts';
import { desiredTunnels } from '../../../ipip/desired.ts';
import { planTunnels } from '../../../ipip/device-plan.ts';
import { renderChange } from '../../../kernel/change.ts';
import { nodeInfo, nodeProblems } from '../../../model/node.ts';
import { vtepMac } from '../../../model/tunnel.ts';

const node = (name: string, annotations: Record<string, string>) =>
  nodeKind.schema.parse({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      annotations: Object.fromEntries(
        Object.entries(annotations).map(([key, value]) => [`projectcalico.org/${key}`, value]),
      ),
    },
  });

/** Fault A1: these commands ran as root on every other node. */
const command =
  '66:00:00:00:00:01 dev vxlan.cali nud permanent\nnetns add x\nnetns exec x sh -c "id >/tmp/f"\nneigh show';

const complete = {
  IPv4Address: '10.0.0.2/24',
  IPv6Address: 'FD00:0:0::2/64',
  ASNumber: '1.10',
  RouteReflectorClusterID: '244.0.0.1',
  IPv4IPIPTunnelAddr: '10.244.1.1',
  IPv4VXLANTunnelAddr: '10.244.1.2',
  VXLANTunnelMACAddr: '66:0A:1B:2C:3D:4E',
  IPv6VXLANTunnelAddr: 'FD00:244::1',
  VXLANTunnelMACAddrV6: '660a.1b2c.3d4f',
};

describe('a Node’s annotations', () => {
  it('are read as values in canonical form', () => {
    expect(nodeInfo(node('n2', complete))).toMatchObject({
      addresses: { 4: { address: '10.0.0.2', length: 24 }, 6: { address: 'fd00::2', length: 64 } },
      asNumber: 65546,
      clusterId: '244.0.0.1',
      tunnels: {
        ipip: { address: '10.244.1.1' },
        vxlan4: { address: '10.244.1.2', mac: '66:0a:1b:2c:3d:4e' },
        vxlan6: { address: 'fd00:244::1', mac: '66:0a:1b:2c:3d:4f' },
      },
    });
    expect(nodeProblems(node('n2', complete))).toEqual([]);
  });

  it('are no problem when empty or missing', () => {
    const empty = Object.fromEntries(Object.keys(complete).map((key) => [key, '']));
    expect(nodeProblems(node('n2', empty))).toEqual([]);
    expect(nodeInfo(node('n2', empty))).toEqual(nodeInfo(node('n2', {})));
  });

  it.each<[keyof typeof complete, string]>([
    ['VXLANTunnelMACAddr', command],
    ['VXLANTunnelMACAddrV6', command],
    ['VXLANTunnelMACAddr', '66:0a:1b:2c:3d:4e dev lo'],
    ['VXLANTunnelMACAddr', '01:00:5e:00:00:01'],
    ['VXLANTunnelMACAddr', 'ff:ff:ff:ff:ff:ff'],
    ['VXLANTunnelMACAddr', '00:00:00:00:00:00'],
    ['VXLANTunnelMACAddr', '66:0a:1b:2c:3d'],
    ['VXLANTunnelMACAddr', '66:0a:1b:2c:3d:4e:5f:60'],
    ['VXLANTunnelMACAddr', 'x'.repeat(1 << 20)],
    ['IPv4VXLANTunnelAddr', '10.244.1.2\nnetns add x'],
    ['IPv4VXLANTunnelAddr', '224.0.0.1'],
    ['IPv4VXLANTunnelAddr', 'fd00::1'],
    ['IPv4IPIPTunnelAddr', '127.0.0.1'],
    ['IPv6VXLANTunnelAddr', 'fe80::1'],
    ['IPv6VXLANTunnelAddr', '::ffff:10.0.0.1'],
    ['IPv4Address', '10.0.0.2/33'],
    ['IPv4Address', '10.0.0.2/0'],
    ['IPv4Address', '127.0.0.1/8'],
    ['IPv4Address', '0.0.0.0/24'],
    ['IPv4Address', '224.0.0.5/24'],
    ['IPv4Address', '255.255.255.255/32'],
    ['IPv4Address', '10.0.0.02/24'],
    ['IPv4Address', 'fd00::2/64'],
    ['IPv6Address', '::1/128'],
    ['IPv6Address', '::/64'],
    ['IPv6Address', 'ff02::1/64'],
    ['IPv6Address', 'fe80::2%eth0/64'],
    ['IPv6Address', '10.0.0.2/24'],
    ['ASNumber', '0'],
    ['ASNumber', '4294967296'],
    ['ASNumber', '64512 '],
    ['RouteReflectorClusterID', 'reflector'],
    ['RouteReflectorClusterID', '4294967296'],
    ['RouteReflectorClusterID', 'fd00::1'],
    ['RouteReflectorClusterID', '244.0.0.1\n'],
  ])('with %s=%j count as absent, and are reported', (field, text) => {
    const { [field]: _, ...without } = complete;
    expect(nodeInfo(node('n2', { ...complete, [field]: text }))).toEqual(nodeInfo(node('n2', without)));
    const problems = nodeProblems(node('n2', { ...complete, [field]: text }));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject({
      kind: 'Node',
      name: 'n2',
      field: `metadata.annotations[projectcalico.org/${field}]`,
      reason: expect.stringContaining('counts as absent'),
    });
    expect(problems[0]!.reason.length).toBeLessThan(400);
  });

  it('accept the cluster ID as a number', () => {
    expect(nodeInfo(node('n2', { RouteReflectorClusterID: '4093640705' })).clusterId).toBe('244.0.0.1');
  });

  it('produce only the intended commands (fault A1)', () => {
    const self = nodeInfo(node('n1', { IPv4Address: '10.0.0.1/24', IPv6Address: 'fd00::1/64' }));
    const other = nodeInfo(
      node('n2', { ...complete, VXLANTunnelMACAddr: command, VXLANTunnelMACAddrV6: command }),
    );
    const wanted = desiredTunnels({
      self,
      nodes: [self, other],
      kinds: ['vxlan4', 'vxlan6'],
      addressOf: () => undefined,
      uplinkMtu: 1500,
      settings: { mtu: { ipip: 0, vxlan4: 0, vxlan6: 0 }, vxlanPort: 4789, vxlanVni: 4096 },
    });
    const { beforeRoutes } = planTunnels(wanted, new Map());
    const texts = beforeRoutes.map(renderChange);
    expect(texts).toContain(
      `neigh replace 10.244.1.2 lladdr ${vtepMac('n2', 4)} dev vxlan.cali nud permanent`,
    );
    expect(texts.filter((text) => text.startsWith('fdb'))).toEqual([
      `fdb replace ${vtepMac('n2', 4)} dev vxlan.cali dst 10.0.0.2 self permanent`,
      `fdb replace ${vtepMac('n2', 6)} dev vxlan-v6.cali dst fd00::2 self permanent`,
    ]);
    expect(texts.join('\n')).not.toContain('netns');
  });

  it('cannot claim this node’s own end of a tunnel', () => {
    const self = nodeInfo(node('n1', { IPv4Address: '10.0.0.1/24', IPv4VXLANTunnelAddr: '10.244.0.1' }));
    const claims = [
      { IPv4VXLANTunnelAddr: '10.244.0.1' },
      { VXLANTunnelMACAddr: vtepMac('n1', 4) },
      { IPv4Address: '10.0.0.1/24' },
    ];
    for (const claim of claims) {
      const [tunnel] = desiredTunnels({
        self,
        nodes: [self, nodeInfo(node('n2', { ...complete, ...claim }))],
        kinds: ['vxlan4'],
        addressOf: () => '10.244.0.1',
        uplinkMtu: 1500,
        settings: { mtu: { ipip: 0, vxlan4: 0, vxlan6: 0 }, vxlanPort: 4789, vxlanVni: 4096 },
      });
      expect(tunnel!.vxlan!.remotes).toEqual([]);
    }
  });
});

describe('a Service as a route reflector', () => {
  const service = (namespace: string, clusterId: string) =>
    serviceKind.schema.parse({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: {
        name: 'rr',
        namespace,
        labels: { 'route-reflector': 'true' },
        annotations: { 'projectcalico.org/RouteReflectorClusterID': clusterId },
      },
    });

  it('counts only in the configured namespaces (fault A3)', () => {
    const services = [service('tenant', '244.0.0.1'), service('kube-system', '244.0.0.1')];
    const names = (namespaces: readonly string[]) =>
      reflectorsFrom(services, [], namespaces).map(({ name }) => name);
    expect(names(reflectorNamespaces(undefined, 'kube-system'))).toEqual(['kube-system/rr']);
    expect(names(reflectorNamespaces('', 'calico'))).toEqual([]);
    expect(names(reflectorNamespaces('bgp, tenant,', 'kube-system'))).toEqual(['tenant/rr']);
  });

  it('does not count while its cluster ID is malformed', () => {
    expect(reflectorsFrom([service('kube-system', 'yes')], [], ['kube-system'])).toEqual([]);
  });
});
