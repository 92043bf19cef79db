/** Which learned prefixes may be installed in a node's kernel, depending on the peer that announces them. */
import { describe, expect, it } from 'vitest';
import { wireOf } from '../../../bgp/rib/prefix-table.ts';
import { bgpConfigurationKind } from '../../../datastore/schema/bgp-configuration.ts';
import { bgpFilterKind } from '../../../datastore/schema/bgp-filter.ts';
import { bgpPeerKind } from '../../../datastore/schema/bgp-peer.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import {
  clusterRanges,
  type KernelImportRules,
  kernelImport,
} from '../../../felix/calc/bgp/kernel-import.ts';
import { desiredSpeaker, type SpeakerInput } from '../../../felix/calc/bgp/speaker.ts';
import { addressBytes, familyOf, parseAddress } from '../../../lib/cidr.ts';
import { Relay } from '../../helpers/relay.ts';

const v3 = 'projectcalico.org/v3' as const;
const rules: KernelImportRules = {
  host: {
    addresses: ['172.18.0.11', '10.244.1.1', '2001:db8::11'],
    networks: ['172.18.0.0/24', '2001:db8::/64'],
    defaults: [4, 6],
  },
  acceptDefaultRoute: 'IfNone',
  cluster: ['10.244.0.0/16', '10.96.0.0/12', 'fd00:10:244::/48'],
  infrastructure: ['172.18.0.12', '172.18.0.100'],
  peerAddresses: [],
};
const nothingTaken = { taken: [], arePodCidrs: false };
type Peer = Parameters<typeof kernelImport>[1];
const judge = (prefix: string, peer: Peer, change: Partial<KernelImportRules> = {}, isPermitted = false) =>
  kernelImport({ ...rules, ...change }, peer).rejection(familyOf(prefix), wireOf(prefix)!, 0, isPermitted)
    ?.kind;

describe('import policy for the kernel', () => {
  it.each([
    '0.0.0.0/8',
    '0.1.2.3/32',
    '127.0.0.0/8',
    '127.0.0.1/32',
    '169.254.1.1/32',
    '169.254.0.0/16',
    '224.0.0.0/4',
    '239.255.255.250/32',
    '240.0.0.0/4',
    '255.255.255.255/32',
    '::/96',
    '::/128',
    '::1/128',
    '::ffff:10.0.0.1/128',
    'fe80::/10',
    'fe80::1/128',
    'ff00::/8',
    'ff02::1/128',
  ])('rejects the martian %s from any peer', (prefix) => {
    for (const peer of ['node-to-node mesh', 'global', 'node specific', 'local workload'] as const) {
      const kind = judge(prefix, peer, { cluster: ['0.0.0.0/0', '::/0'] }, true);
      expect([peer, kind]).toEqual([peer, 'martian']);
    }
  });

  it('accepts class E if the cluster uses it, except the broadcast address', () => {
    const cluster = ['240.10.0.0/16', '255.255.255.0/24'];
    for (const peer of ['node-to-node mesh', 'global'] as const) {
      expect(judge('240.10.3.64/26', peer, { cluster })).toBeUndefined();
      expect(judge('240.11.0.0/26', peer, { cluster })).toBe('martian');
      expect(judge('255.255.255.255/32', peer, { cluster })).toBe('martian');
      expect(kernelImport({ ...rules, cluster }, peer).key).not.toBe(kernelImport(rules, peer).key);
    }
  });

  it.each(['192.0.2.0/24', '10.0.0.0/8', '100.64.0.0/10', '2001:db8::/32', '64:ff9b::/96', 'fd00::/8'])(
    'accepts %s from an explicit peer',
    (prefix) => expect(judge(prefix, 'global')).toBeUndefined(),
  );

  it('rejects the host’s networks and gateways from a pod, unless a filter rule accepts them', () => {
    const host = { ...rules.host, networks: ['172.18.0.0/16', 'fd00:172::/64'], gateways: ['192.0.2.1'] };
    for (const prefix of [
      '172.18.0.1/32',
      '172.18.4.0/24',
      '172.16.0.0/12',
      'fd00:172::1/128',
      '192.0.2.1/32',
    ]) {
      expect([prefix, judge(prefix, 'local workload', { host })]).toEqual([prefix, 'workload']);
      expect(judge(prefix, 'local workload', { host }, true)).toBeUndefined();
      expect(judge(prefix, 'global', { host })).toBeUndefined();
    }
    expect(judge('192.0.2.128/25', 'local workload', { host })).toBeUndefined();
  });

  it('rejects an address of this node from any peer, but not its neighbours or its subnet', () => {
    for (const peer of ['global', 'node specific', 'local workload'] as const)
      for (const prefix of ['172.18.0.11/32', '10.244.1.1/32', '2001:db8::11/128'])
        expect(judge(prefix, peer, {}, true)).toBe('own-address');
    expect(judge('10.244.1.1/32', 'node-to-node mesh')).toBe('own-address');
    expect(judge('172.18.0.0/24', 'global')).toBeUndefined();
    expect(judge('172.18.0.13/32', 'global')).toBeUndefined();
  });

  it.each(['0.0.0.0/0', '0.0.0.0/1', '128.0.0.0/1', '64.0.0.0/2', '::/0', '2000::/3', '8000::/1'])(
    'treats %s as a default route: accepted while the host has none, or if a setting allows it',
    (prefix) => {
      const without = { host: { ...rules.host, defaults: [] } };
      expect(judge(prefix, 'global')).toBe('default-route');
      expect(judge(prefix, 'global', without)).toBeUndefined();
      expect(judge(prefix, 'global', { acceptDefaultRoute: 'Always' })).toBeUndefined();
      expect(judge(prefix, 'global', { ...without, acceptDefaultRoute: 'Never' })).toBe('default-route');
      expect(judge(prefix, 'node-to-node mesh', without)).toBe('outside-pools');
    },
  );

  it('ignores default routes of the other family', () => {
    const only6 = { host: { ...rules.host, defaults: [6 as const] } };
    expect(judge('0.0.0.0/0', 'global', only6)).toBeUndefined();
    expect(judge('::/0', 'global', only6)).toBe('default-route');
  });

  it('accepts only pods and Services from a node of the mesh', () => {
    for (const prefix of [
      '10.244.5.64/26',
      '10.244.7.9/32',
      '10.96.0.10/32',
      '10.96.0.0/12',
      'fd00:10:244::40/122',
    ])
      expect([prefix, judge(prefix, 'node-to-node mesh')]).toEqual([prefix, undefined]);
    for (const prefix of [
      '10.0.0.0/8',
      '10.245.0.0/26',
      '8.8.8.8/32',
      '172.18.0.12/32',
      '172.18.0.100/32',
      'fd00::/8',
    ])
      expect([prefix, judge(prefix, 'node-to-node mesh')]).toEqual([prefix, 'outside-pools']);
  });

  it('rejects cluster prefixes from a pod unless a filter accepts them; martians and node addresses always', () => {
    for (const prefix of [
      '10.244.5.64/26',
      '10.244.0.0/16',
      '10.0.0.0/8',
      '172.18.0.12/32',
      '172.18.0.0/24',
      '172.18.0.100/32',
    ])
      expect([prefix, judge(prefix, 'local workload')]).toEqual([prefix, 'workload']);
    expect(judge('10.244.5.64/26', 'local workload', {}, true)).toBeUndefined();
    expect(judge('192.168.7.0/24', 'local workload')).toBeUndefined();
    expect(judge('172.18.0.11/32', 'local workload', {}, true)).toBe('own-address');
    expect(judge('0.0.0.0/0', 'local workload', {}, true)).toBe('default-route');
  });

  it('knows what nodes advertise: exported pools, blocks without a pool, and Services', () => {
    const pool = (cidr: string, spec = {}) =>
      ipPoolKind.schema.parse({
        apiVersion: v3,
        kind: 'IPPool',
        metadata: { name: 'p' },
        spec: { cidr, ...spec },
      });
    const pools = [
      pool('10.1.0.0/16'),
      pool('10.2.0.0/16', { disableBGPExport: true }),
      pool('10.3.0.0/16', { disabled: true }),
    ];
    const blocks = ['10.1.0.0/26', '10.2.0.0/26', '10.9.0.0/26'];
    const services = {
      serviceClusterIPs: [{ cidr: '10.96.0.0/12' }],
      serviceLoadBalancerIPs: [{ cidr: '192.0.2.0/24' }],
    };
    expect(clusterRanges(pools, services, blocks, nothingTaken)).toEqual([
      '10.1.0.0/16',
      '10.3.0.0/16',
      '10.9.0.0/26',
      '10.96.0.0/12',
      '192.0.2.0/24',
    ]);
  });

  it('does not let a block without a pool cover nodes, the API server, a host network or the Internet', () => {
    const taken = ['172.18.0.0/24', '172.19.0.12/32', '203.0.113.10/32', 'fd00:172::/64'];
    const planted = [
      '172.18.0.10/32',
      '172.18.0.64/26',
      '172.19.0.0/26',
      '203.0.113.10/32',
      '0.0.0.0/0',
      '8.0.0.0/8',
      'fd00:172::10/128',
      '2000::/3',
    ];
    const ranges = (arePodCidrs: boolean, blocks: string[]) =>
      clusterRanges([], {}, blocks, { taken, arePodCidrs });
    expect(ranges(false, [...planted, '10.244.1.0/26', 'fd00:10::/122'])).toEqual([
      '10.244.1.0/26',
      'fd00:10::/122',
    ]);
    expect(ranges(true, ['10.244.0.0/18', 'fd00:10:1::/64'])).toEqual(['10.244.0.0/18', 'fd00:10:1::/64']);
  });

  it('does not let a node of the mesh advertise nodes that lie inside a pool', () => {
    const cluster = ['172.16.0.0/12'];
    const mesh = (prefix: string) => judge(prefix, 'node-to-node mesh', { cluster });
    for (const prefix of ['172.18.0.12/32', '172.18.0.100/32', '172.18.0.0/26', '172.18.0.0/24'])
      expect([prefix, mesh(prefix)]).toEqual([prefix, 'infrastructure']);
    // An address that a node claims does not exclude pod blocks that are on no network of this host.
    const claimed = { cluster, infrastructure: ['172.20.1.5'] };
    for (const prefix of ['172.18.0.240/32', '172.20.1.0/26', '172.16.0.0/12'])
      expect([prefix, judge(prefix, 'node-to-node mesh', claimed)]).toEqual([prefix, undefined]);
    expect(judge('172.18.0.12/32', 'global', { cluster })).toBeUndefined();
  });

  it('limits next hops from the mesh to nodes, BGPPeers, pods and neighbours, and those of other peers not', () => {
    const change = {
      infrastructure: ['172.19.0.12', 'fd00:19::12'],
      peerAddresses: ['203.0.113.1'],
    };
    const hop = (address: string, peer: Peer = 'node-to-node mesh', more = '') =>
      kernelImport({ ...rules, ...change }, peer).nextHopRejection?.(
        Uint8Array.from([...addressBytes(parseAddress(address)!), ...Buffer.from(more, 'hex')]),
      )?.kind;
    for (const address of [
      '172.19.0.12',
      'fd00:19::12',
      '203.0.113.1',
      '172.18.0.77',
      '10.244.3.4',
      '2001:db8::5',
    ])
      expect([address, hop(address)]).toEqual([address, undefined]);
    expect(hop('fd00:19::12', 'node-to-node mesh', `fe80${'00'.repeat(13)}01`)).toBeUndefined();
    for (const address of ['169.254.169.254', '8.8.8.8', '172.19.0.13', 'fe80::1', '2001:db8:1::1'])
      expect([address, hop(address)]).toEqual([address, 'next-hop']);
    expect(hop('8.8.8.8', 'global')).toBeUndefined();
    expect(hop('8.8.8.8', 'node specific')).toBeUndefined();
  });

  it('gives equal rules equal keys, and different keys to peer types with different rights', () => {
    const key = (peer: Peer, change: Partial<KernelImportRules> = {}) =>
      kernelImport({ ...rules, ...change }, peer).key;
    expect(key('global')).toBe(key('global', { cluster: [], infrastructure: [] }));
    expect(key('node-to-node mesh')).not.toBe(key('node-to-node mesh', { cluster: [] }));
    expect(key('local workload')).not.toBe(key('local workload', { infrastructure: [] }));
    expect(key('global')).not.toBe(key('global', { host: { addresses: [], networks: [], defaults: [] } }));
  });
});

describe('the import policy in the speaker', () => {
  const nodes = ['n1', 'n2'].map((name, index) => ({
    name,
    labels: {},
    addresses: { 4: { address: `172.18.0.1${index + 1}`, length: 24 } },
    asNumber: undefined,
    clusterId: undefined,
    tunnels: {},
  }));
  const pools = [
    ipPoolKind.schema.parse({
      apiVersion: v3,
      kind: 'IPPool',
      metadata: { name: 'p' },
      spec: { cidr: '10.244.0.0/16' },
    }),
  ];
  const peer = bgpPeerKind.schema.parse({
    apiVersion: v3,
    kind: 'BGPPeer',
    metadata: { name: 'tor' },
    spec: { peerIP: '172.18.0.1', asNumber: 64512, filters: ['f'] },
  });
  const input: SpeakerInput = {
    node: 'n1',
    nodes,
    configurations: [],
    peers: [peer],
    pools,
    originated: [],
    holdTimeSeconds: 90,
    restartTimeSeconds: 120,
    host: rules.host,
  };

  it('depends on the type of peer, and is absent when no routes are programmed', () => {
    const keys = desiredSpeaker(input).peers.map(({ peerType, prefixPolicy }) => [
      peerType,
      prefixPolicy?.key.split('"')[1],
    ]);
    expect(keys).toEqual([
      ['global', 'global'],
      ['node-to-node mesh', 'node-to-node mesh'],
    ]);
    const { host, ...reflector } = input;
    expect(desiredSpeaker(reflector).peers.map(({ prefixPolicy }) => prefixPolicy)).toEqual([
      undefined,
      undefined,
    ]);
  });

  it('reads acceptDefaultRoute from the node’s own configuration before the cluster’s', () => {
    const configuration = (name: string, acceptDefaultRoute: string) =>
      bgpConfigurationKind.schema.parse({
        apiVersion: v3,
        kind: 'BGPConfiguration',
        metadata: { name },
        spec: { acceptDefaultRoute },
      });
    const judged = (...configurations: ReturnType<typeof configuration>[]) =>
      desiredSpeaker({ ...input, configurations }).peers[0]!.prefixPolicy!.rejection(
        4,
        wireOf('0.0.0.0/0')!,
        0,
        false,
      )?.kind;
    expect(judged()).toBe('default-route');
    expect(judged(configuration('default', 'Always'))).toBeUndefined();
    expect(judged(configuration('default', 'Always'), configuration('node.n1', 'Never'))).toBe(
      'default-route',
    );
    expect(judged(configuration('default', 'Never'), configuration('node.n1', 'IfNone'))).toBe(
      'default-route',
    );
  });

  it('rejects everything for a BGPFilter that is unusable, and nothing for one that does not exist', () => {
    const reasons = (unusableFilters: readonly string[]) => {
      const config = desiredSpeaker({ ...input, filters: [], unusableFilters }).peers[0]!;
      const relay = new Relay({ policy: config.importPolicy, prefixPolicy: config.prefixPolicy });
      const plain = '400101004002004003040a000001400504' + '00000064';
      relay.receive(Uint8Array.from(Buffer.from(`00000015${plain}10c0a8`, 'hex')));
      return [relay.reason('192.168.0.0/16'), config.warning];
    };
    expect(reasons([])).toEqual(['best', 'BGPFilter f does not exist: it filters nothing']);
    expect(reasons(['f'])).toEqual([
      'BGPFilter f, rule 1',
      'BGPFilter f cannot be used: it rejects every route',
    ]);
  });

  it('reports a rejection by BGPFilter first, and rejects a martian that the filter accepts', () => {
    const filter = bgpFilterKind.schema.parse({
      apiVersion: v3,
      kind: 'BGPFilter',
      metadata: { name: 'f' },
      spec: {
        importV4: [{ cidr: '127.0.0.0/9', matchOperator: 'In', action: 'Reject' }, { action: 'Accept' }],
      },
    });
    const { importPolicy, prefixPolicy } = desiredSpeaker({ ...input, filters: [filter] }).peers[0]!;
    const relay = new Relay({ policy: importPolicy, prefixPolicy });
    const plain = '400101004002004003040a000001400504' + '00000064';
    relay.receive(Uint8Array.from(Buffer.from(`00000015${plain}087f20a9fe010110c0a800`, 'hex')));
    expect(relay.reason('127.0.0.0/8')).toBe('martian: loopback');
    expect(relay.reason('169.254.1.1/32')).toBe('martian: link-local');
    expect(relay.reason('0.0.0.0/0')).toMatch(/would replace the default route of the host/);
    expect(relay.reason('192.168.0.0/16')).toBe('best');
    relay.receive(Uint8Array.from(Buffer.from(`00000015${plain}207f000001`, 'hex')));
    expect(relay.reason('127.0.0.1/32')).toBe('BGPFilter f, rule 1');
  });
});
