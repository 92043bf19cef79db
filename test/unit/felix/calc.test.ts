import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bgpConfigurationKind } from '../../../datastore/schema/bgp-configuration.ts';
import { type BGPPeer, bgpPeerKind } from '../../../datastore/schema/bgp-peer.ts';
import { nodeAnnotations, podKind } from '../../../datastore/schema/core.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { blockAffinityKind, ipamBlockKind } from '../../../datastore/schema/ipam.ts';
import type { SecretState } from '../../../felix/calc/bgp/password.ts';
import { desiredSpeaker, type SpeakerInput } from '../../../felix/calc/bgp/speaker.ts';
import { workloadLabels, workloadPeeringAddresses } from '../../../felix/calc/bgp/workloads.ts';
import { knownRoutes } from '../../../felix/calc/known-routes.ts';
import { exportedPrefixes, ownPrefixes } from '../../../felix/calc/own-prefixes.ts';
import { desiredRoutes } from '../../../felix/calc/routes.ts';
import { assignNext, newBlock } from '../../../ipam/block.ts';
import { type Endpoint, podInterfaceName } from '../../../model/endpoint.ts';
import { nodeInfo } from '../../../model/node.ts';

const v3 = 'projectcalico.org/v3' as const;
const node = (
  name: string,
  ipv4: string,
  more: Record<string, string> = {},
  labels: Record<string, string> = {},
) =>
  nodeInfo({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      labels,
      annotations: {
        'projectcalico.org/IPv4Address': ipv4,
        ...Object.fromEntries(
          Object.entries(more).map(([k, v]) => [k.includes('/') ? k : `projectcalico.org/${k}`, v]),
        ),
      },
    },
    spec: {},
    status: {},
  });
const configuration = (spec: object, name = 'default') =>
  bgpConfigurationKind.schema.parse({ apiVersion: v3, kind: 'BGPConfiguration', metadata: { name }, spec });
const peer = (name: string, spec: object) =>
  bgpPeerKind.schema.parse({ apiVersion: v3, kind: 'BGPPeer', metadata: { name }, spec });
const pool = (cidr: string, spec: object = {}) =>
  ipPoolKind.schema.parse({
    apiVersion: v3,
    kind: 'IPPool',
    metadata: { name: 'p' },
    spec: { cidr, ...spec },
  });
const endpoint = (interfaceName: string, ...addresses: string[]): Endpoint => ({
  containerId: interfaceName,
  containerInterface: 'eth0',
  network: 'n',
  interfaceName,
  mac: '02:00:00:00:00:01',
  mtu: 1500,
  addresses,
  netns: '/x',
});

const base: SpeakerInput = {
  node: 'n1',
  nodes: [node('n1', '10.0.0.9/24'), node('n2', '10.0.0.10/24'), node('n3', '10.0.0.8/24')],
  configurations: [],
  peers: [],
  pools: [],
  originated: [],
  holdTimeSeconds: 90,
  restartTimeSeconds: 120,
};
const brief = (input: Partial<SpeakerInput>) =>
  desiredSpeaker({ ...base, ...input }).peers.map(
    (p) => `${p.address}:${p.port} AS${p.asNumber} ${p.isPassive ? 'passive' : 'active'} ${p.peerType}`,
  );

describe('the desired state of the speaker (Calico 2.4, 2.5)', () => {
  it('has a full mesh with a session per other node; the side to open it is chosen by comparing address texts', () => {
    expect(brief({})).toEqual([
      // "10.0.0.10" < "10.0.0.8" < "10.0.0.9" as texts.
      '10.0.0.10:179 AS64512 active node-to-node mesh',
      '10.0.0.8:179 AS64512 active node-to-node mesh',
    ]);
    expect(brief({ node: 'n2' }).every((line) => line.includes('passive'))).toBe(true);
  });

  it('takes AS numbers and ports from the node, then from the default configuration', () => {
    const nodes = [...base.nodes.slice(0, 2), node('n3', '10.0.0.8/24', { ASNumber: '65003' })];
    const configurations = [
      configuration({ asNumber: 65000, listenPort: 1790 }),
      configuration({ listenPort: 1791 }, 'node.n2'),
    ];
    expect(brief({ nodes, configurations })).toEqual([
      '10.0.0.10:1791 AS65000 active node-to-node mesh',
      '10.0.0.8:1790 AS65003 active node-to-node mesh',
    ]);
  });

  it('has no mesh when the mesh is disabled', () => {
    expect(brief({ configurations: [configuration({ nodeToNodeMeshEnabled: false })] })).toEqual([]);
  });

  it('removes a route reflector from the mesh once BGPPeers give it a client node, in any order of arrival', () => {
    const reflector = node('n3', '10.0.0.8/24', { RouteReflectorClusterID: '1.0.0.1' }, { rr: 'yes' });
    const nodes = [...base.nodes.slice(0, 2), reflector];
    const meshed = (...peers: BGPPeer[]) =>
      ['n1', 'n2', 'n3'].map(
        (name) => brief({ node: name, nodes, peers }).filter((line) => line.includes('mesh')).length,
      );
    const everybody = [2, 2, 2];
    const clientsAlone = [1, 1, 0];
    expect(meshed()).toEqual(everybody);
    expect(meshed(peer('rr', { nodeSelector: 'all()', peerSelector: 'has(rr)' }))).toEqual(clientsAlone);
    expect(meshed(peer('rr', { peerIP: '10.0.0.8', asNumber: 64512 }))).toEqual(clientsAlone);
    expect(meshed(peer('back', { nodeSelector: 'has(rr)', peerSelector: '!has(rr)' }))).toEqual(clientsAlone);
    // These create no session with an ordinary node.
    expect(meshed(peer('tor', { peerIP: '192.0.2.1', asNumber: 65100 }))).toEqual(everybody);
    expect(meshed(peer('rr', { nodeSelector: 'has(rr)', peerSelector: 'has(rr)' }))).toEqual(everybody);
    const manual = { reversePeering: 'Manual' } as const;
    const there = peer('to', { nodeSelector: '!has(rr)', peerSelector: 'has(rr)', ...manual });
    const back = peer('from', { nodeSelector: 'has(rr)', peerSelector: '!has(rr)', ...manual });
    // The clients have the session from their BGPPeer, the reflector from the mesh.
    expect(meshed(there)).toEqual([1, 1, 2]);
    expect(meshed(there, back)).toEqual(clientsAlone);
  });

  it('has global, per-node and selected BGPPeers; an explicit peer replaces the mesh session to its address', () => {
    const peers = [
      peer('tor', { peerIP: '192.0.2.1', asNumber: 65100 }),
      peer('other', { peerIP: '192.0.2.2', asNumber: 65100, node: 'n2' }),
      peer('port', { peerIP: '192.0.2.3:1179', asNumber: 65100, nodeSelector: 'all()' }),
      peer('again', { peerIP: '10.0.0.8', asNumber: 64512 }),
    ];
    expect(brief({ peers })).toEqual([
      '10.0.0.10:179 AS64512 active node-to-node mesh',
      '10.0.0.8:179 AS64512 active global',
      '192.0.2.1:179 AS65100 active global',
      '192.0.2.3:1179 AS65100 active node specific',
    ]);
  });

  it('has one session per family, and treats a malformed address as absent', () => {
    const nodes = [
      node('n1', '10.0.0.1/24', { IPv6Address: 'fd00::1/64' }),
      node('n2', 'nonsense', { IPv6Address: 'fd00::2/64' }),
    ];
    const [only, ...rest] = desiredSpeaker({ ...base, nodes }).peers;
    expect(only).toMatchObject({ address: 'fd00::2', families: [6], localAddress: 'fd00::1' });
    expect(rest).toEqual([]);
  });

  it('does not depend on the order of its inputs', () => {
    // JSON omits policies' functions and keeps their keys.
    const expected = JSON.stringify(desiredSpeaker(base));
    fc.assert(
      fc.property(fc.shuffledSubarray([...base.nodes], { minLength: 3 }), (nodes) => {
        expect(JSON.stringify(desiredSpeaker({ ...base, nodes }))).toEqual(expected);
      }),
    );
  });
});

describe('sessions in detail (Calico 2.5)', () => {
  const reflector = node('n3', '10.0.0.8/24', { RouteReflectorClusterID: '1.0.0.1' }, { role: 'rr' });
  const nodes = [...base.nodes.slice(0, 2), reflector];
  const toReflectors = peer('rr', { nodeSelector: '!has(role)', peerSelector: "role == 'rr'" });

  it('a node that a BGPPeer selects as the remote side gets the reverse session, unless it is Manual (B-046)', () => {
    const mesh = [configuration({ nodeToNodeMeshEnabled: false })];
    const input = { nodes, configurations: mesh, peers: [toReflectors] };
    expect(brief(input)).toEqual(['10.0.0.8:179 AS64512 active node specific']);
    const back = desiredSpeaker({ ...base, ...input, node: 'n3' }).peers;
    expect(back.map(({ address, isClient, clusterId }) => [address, isClient, clusterId])).toEqual([
      ['10.0.0.10', true, '1.0.0.1'],
      ['10.0.0.9', true, '1.0.0.1'],
    ]);
    const manual = { ...toReflectors, spec: { ...toReflectors.spec, reversePeering: 'Manual' as const } };
    expect(desiredSpeaker({ ...base, ...input, peers: [manual], node: 'n3' }).peers).toEqual([]);
  });

  it('settings come from BGPPeer before BGPConfiguration, and passwords from Secrets', () => {
    const spec = {
      peerIP: '192.0.2.1',
      asNumber: 65001,
      holdTime: '30s',
      keepaliveTime: '5s',
      maxRestartTime: '90s',
      ttlSecurity: 1,
      sourceAddress: 'None',
      localASNumber: 65100,
      numAllowedLocalASNumbers: 2,
      nextHopMode: 'Keep',
      password: { secretKeyRef: { name: 'bgp', key: 'tor' } },
      bfd: { receiveInterval: '100ms', transmitInterval: '100ms' },
      role: 'Customer',
      maxPrefixes: { limit: 10, action: 'Restart' },
    };
    const [only] = desiredSpeaker({
      ...base,
      nodes: base.nodes.slice(0, 1),
      configurations: [configuration({ holdTime: '60s', connectRetryTime: '2s' })],
      peers: [peer('tor', spec)],
      secrets: (name, key) => ({ state: 'known', value: `${name}/${key}` }),
    }).peers;
    expect(only).toMatchObject({
      holdTimeSeconds: 30,
      keepaliveSeconds: 5,
      restartTimeSeconds: 90,
      connectRetrySeconds: 2,
      ttlSecurityHops: 1,
      localAddress: undefined,
      localAs: 65100,
      allowedLocalAs: 2,
      nextHopMode: 'Keep',
      password: 'bgp/tor',
      bfd: { receiveIntervalMs: 100, transmitIntervalMs: 100, multiplier: 3, isMultihop: false },
      role: 3,
      prefixLimit: { limit: 10, action: 'Restart' },
      localPref: 2147482623,
    });
  });

  it('an unknown or unusable password prevents connections, and a missing Secret does not', () => {
    const spec = {
      peerIP: '192.0.2.1',
      asNumber: 65001,
      password: { secretKeyRef: { name: 'bgp', key: 'tor' } },
    };
    const settingsWith = (state: SecretState) => {
      const mesh = configuration({ nodeMeshPassword: spec.password });
      const { peers } = desiredSpeaker({
        ...base,
        configurations: [mesh],
        peers: [peer('tor', spec)],
        secrets: () => state,
      });
      const seen = peers.map(({ password, unusable, warning }) => ({ password, unusable, warning }));
      expect(new Set(seen.map((one) => JSON.stringify(one))).size).toBe(1);
      return seen[0]!;
    };
    const none = { password: undefined, unusable: undefined, warning: undefined };
    expect(settingsWith({ state: 'unknown', reason: 'waiting' })).toEqual({ ...none, unusable: 'waiting' });
    expect(settingsWith({ state: 'missing', reason: 'Secret bgp does not exist' })).toEqual({
      ...none,
      warning: 'Secret bgp does not exist: the session has no password',
    });
    for (const [value, reason] of [
      ['', 'is empty'],
      ['x'.repeat(81), 'has 81 octets, TCP MD5 allows at most 80'],
      ['é'.repeat(41), 'has 82 octets, TCP MD5 allows at most 80'],
      ['a\0b', 'contains a NUL octet'],
      ['a\ufffd', 'is not UTF-8 text'],
    ] as const)
      expect(settingsWith({ state: 'known', value })).toEqual({
        ...none,
        unusable: `Secret bgp, key tor: the password ${reason}`,
      });
    const longest = 'x'.repeat(80);
    expect(settingsWith({ state: 'known', value: longest })).toEqual({ ...none, password: longest });
  });

  it('mesh peers in the node’s subnet that send with TTL 255 must be one hop away', () => {
    const hops = (own: string, other: string, change: { canDemandTtl?: boolean; says?: string } = {}) => {
      const { canDemandTtl = true, says = '1' } = change;
      const annotation = { [nodeAnnotations.bgpTTLSecurity]: says };
      const nodes = [node('n1', own), node('n2', other, annotation)];
      const [only] = desiredSpeaker({ ...base, nodes, canDemandTtl }).peers;
      return only!.ttlSecurityHops;
    };
    expect(hops('10.0.0.1/24', '10.0.0.2/24')).toBe(1);
    expect(hops('10.0.0.1/24', '10.0.1.2/24')).toBeUndefined();
    // Only one side sees both in one subnet, or the other's subnet is unknown.
    expect(hops('10.0.0.1/16', '10.0.1.2/24')).toBeUndefined();
    expect(hops('10.0.0.1/24', '10.0.0.2')).toBeUndefined();
    // An older version or Calico, annotations with other values, and no koffi on this node.
    for (const says of ['', '0', 'true'])
      expect(hops('10.0.0.1/24', '10.0.0.2/24', { says })).toBeUndefined();
    expect(hops('10.0.0.1/24', '10.0.0.2/24', { canDemandTtl: false })).toBeUndefined();
  });

  it('selected pods are peers, and open the connections themselves (B-065, B-066)', () => {
    const spec = { localWorkloadSelector: "app == 'router'", asNumber: 65200 };
    const workloads = [
      { interfaceName: 'cali5', labels: { app: 'router' }, addresses: ['10.1.0.5', 'fd00::5'] },
      { interfaceName: 'cali6', labels: { app: 'web' }, addresses: ['10.1.0.6'] },
      { interfaceName: 'cali7', labels: { app: 'router' }, addresses: ['10.1.0.7'] },
    ];
    const own = { localWorkloadPeeringIPV4: '169.254.9.1', localWorkloadPeeringIPV6: 'fd99::1' };
    const nodes = base.nodes.slice(0, 1);
    const peers = desiredSpeaker({ ...base, nodes, peers: [peer('pods', spec)], workloads }).peers;
    expect(
      peers.map(({ address, asNumber, isPassive, peerType }) => [address, asNumber, isPassive, peerType]),
    ).toEqual([
      ['10.1.0.5', 65200, true, 'local workload'],
      ['10.1.0.7', 65200, true, 'local workload'],
      ['fd00::5', 65200, true, 'local workload'],
    ]);
    const chosen = [peer('pods', spec), peer('others', { ...spec, node: 'n2' })];
    expect(workloadPeeringAddresses(nodes[0]!, chosen, [configuration(own)], workloads)).toEqual([
      { device: 'cali5', cidr: '169.254.9.1/32' },
      { device: 'cali5', cidr: 'fd99::1/128' },
      { device: 'cali7', cidr: '169.254.9.1/32' },
    ]);
    expect(workloadPeeringAddresses(nodes[0]!, chosen, [], workloads)).toEqual([]);
  });

  it('nodes that peer through a BGPPeer have the same restrictions as nodes of the mesh', () => {
    const says = { [nodeAnnotations.bgpTTLSecurity]: '1' };
    const settingsOf = (spec: object, more: Record<string, string> = {}) => {
      const nodes = [node('n1', '10.0.0.1/24'), node('n2', '10.0.0.2/24', { ...says, ...more })];
      const host = { addresses: [], networks: [], defaults: [] };
      const off = configuration({ nodeToNodeMeshEnabled: false });
      const peers = [peer('nodes', { asNumber: 64512, ...spec })];
      const input = { ...base, nodes, peers, host, canDemandTtl: true, configurations: [off] };
      const [only] = desiredSpeaker(input).peers;
      const abroad = only!.prefixPolicy!.rejection(4, Uint8Array.of(24, 192, 0, 2), 0, false)?.kind;
      const permitted = only!.prefixPolicy!.rejection(4, Uint8Array.of(24, 192, 0, 2), 0, true)?.kind;
      return [only!.ttlSecurityHops, abroad, permitted];
    };
    expect(settingsOf({ peerIP: '10.0.0.2' })).toEqual([1, 'outside-pools', undefined]);
    expect(settingsOf({ peerIP: '10.0.0.2', ttlSecurity: 3 })).toEqual([3, 'outside-pools', undefined]);
    // A reflector, another program on that node, and a peer that is not a node.
    const reflects = { 'projectcalico.org/RouteReflectorClusterID': '1.1.1.1' };
    expect(settingsOf({ peerIP: '10.0.0.2' }, reflects)).toEqual([1, undefined, undefined]);
    expect(settingsOf({ peerIP: '10.0.0.2:1790' })).toEqual([undefined, undefined, undefined]);
    expect(settingsOf({ peerIP: '10.0.0.3' })).toEqual([undefined, undefined, undefined]);
  });

  it('a pod cannot claim another namespace, service account or namespace label by its own labels', () => {
    const pod = podKind.schema.parse({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: 'thief',
        namespace: 'tenant',
        labels: {
          app: 'router',
          'projectcalico.org/namespace': 'network',
          'projectcalico.org/serviceaccount': 'router',
          'projectcalico.org/anything': 'x',
          'pcns.trusted': 'yes',
          'pcsa.trusted': 'yes',
        },
      },
      spec: { serviceAccountName: 'default' },
    });
    const labels = workloadLabels(pod, 'tenant', { trusted: 'no', team: 'a' });
    expect(labels).toEqual({
      app: 'router',
      'projectcalico.org/namespace': 'tenant',
      'projectcalico.org/orchestrator': 'k8s',
      'projectcalico.org/serviceaccount': 'default',
      'pcns.trusted': 'no',
      'pcns.team': 'a',
    });
    const thief = { interfaceName: 'cali5', labels, addresses: ['10.1.0.5'] };
    const chosen = (selector: string) =>
      desiredSpeaker({
        ...base,
        nodes: base.nodes.slice(0, 1),
        peers: [peer('pods', { localWorkloadSelector: selector, asNumber: 65200 })],
        workloads: [thief],
      }).peers.length;
    expect(chosen("app == 'router' && projectcalico.org/namespace == 'network'")).toBe(0);
    expect(chosen("app == 'router' && projectcalico.org/namespace == 'tenant'")).toBe(1);
    expect(chosen("pcns.trusted == 'yes'")).toBe(0);
  });

  it('only pod routes are exported, with the communities of prefixAdvertisements (B-100 to B-112)', () => {
    const configurations = [
      configuration({
        communities: [{ name: 'pods', value: '64512:7' }],
        prefixAdvertisements: [{ cidr: '10.1.0.0/16', communities: ['pods', '1:2:3'] }],
      }),
    ];
    const pools = [pool('10.1.0.0/16'), pool('10.2.0.0/16', { disableBGPExport: true })];
    const { exportPolicy } = desiredSpeaker({ ...base, configurations, pools }).peers[0]!;
    const attributes = { origin: 0, asPath: [], nextHop: '10.0.0.2' };
    const judge = (prefix: string, isLocal: boolean) =>
      exportPolicy!.apply({ prefix, attributes, isLocal, isIbgp: true });
    expect(judge('10.1.0.0/26', false)).toEqual({
      isAccepted: true,
      attributes: { ...attributes, communities: [64512 * 65536 + 7], largeCommunities: [[1, 2, 3]] },
    });
    expect(judge('10.2.0.0/26', true)).toMatchObject({ isAccepted: false, reason: /disableBGPExport/ });
    expect(judge('0.0.0.0/0', false)).toMatchObject({ isAccepted: false });
    expect(judge('10.96.0.0/12', true)).toMatchObject({ isAccepted: true });
  });

  it('only a reflector passes on routes in Service ranges, cluster IPs included (B-108, B-109)', () => {
    const configurations = [
      configuration({
        serviceClusterIPs: [{ cidr: '10.96.0.0/16' }, { cidr: 'fd00:10:96::/112' }],
        serviceExternalIPs: [{ cidr: '203.0.113.0/24' }],
        serviceLoadBalancerIPs: [{ cidr: '80.15.0.0/24' }],
      }),
    ];
    const hosts = ['10.96.0.10/32', 'fd00:10:96::a/128', '203.0.113.7/32', '80.15.0.9/32'];
    const passedOn = (annotations: Record<string, string>) => {
      const nodes = [node('n1', '10.0.0.9/24', annotations), node('n2', '10.0.0.10/24')];
      const { exportPolicy } = desiredSpeaker({ ...base, nodes, configurations }).peers[0]!;
      const attributes = { origin: 0, asPath: [], nextHop: '10.0.0.2' };
      return [...hosts, '192.0.2.1/32'].filter(
        (prefix) => exportPolicy!.apply({ prefix, attributes, isLocal: false, isIbgp: true }).isAccepted,
      );
    };
    expect(passedOn({ RouteReflectorClusterID: '1.0.0.1' })).toEqual(hosts);
    expect(passedOn({})).toEqual([]);
  });
});

describe('prefixes that a node advertises (Calico B-104 to B-107)', () => {
  const block = (cidr: string, owner: string) =>
    ipamBlockKind.schema.parse({
      apiVersion: v3,
      kind: 'IPAMBlock',
      metadata: { name: 'b' },
      spec: newBlock(cidr, owner, 1),
    });
  const affinity = (cidr: string, owner: string, state: string) =>
    blockAffinityKind.schema.parse({
      apiVersion: v3,
      kind: 'BlockAffinity',
      metadata: { name: 'a' },
      spec: { cidr, node: owner, state },
    });
  const blocks = [
    block('10.1.0.0/26', 'n1'),
    block('10.1.0.64/26', 'n1'),
    block('10.1.0.128/26', 'n2'),
    block('10.1.0.192/26', 'n2'),
  ];
  const affinities = [
    affinity('10.1.0.0/26', 'n1', 'confirmed'),
    affinity('10.1.0.64/26', 'n1', 'pending'),
    affinity('10.1.0.128/26', 'n2', 'confirmed'),
    // The affinity names n1, but the block, which is authoritative, names n2.
    affinity('10.1.0.192/26', 'n1', 'confirmed'),
  ];

  it('are confirmed blocks, and borrowed addresses as host routes, but no pod inside an own block', () => {
    const own = ownPrefixes('n1', blocks, affinities, [
      endpoint('cali1', '10.1.0.5', 'fd00::5'),
      endpoint('cali2', '10.1.0.130'),
    ]);
    expect(own).toEqual({ blocks: ['10.1.0.0/26'], borrowed: ['10.1.0.130/32', 'fd00::5/128'] });
    expect(exportedPrefixes(own, [pool('10.1.0.0/16', { disableBGPExport: true })])).toEqual(['fd00::5/128']);
  });
});

describe('the routes of a node', () => {
  it('prefer workloads to learned routes, and those to blackholes; a block of one address has no blackhole', () => {
    const routes = desiredRoutes({
      endpoints: [endpoint('cali1', '10.1.0.5')],
      blocks: ['10.1.0.0/26', '10.1.0.99/32', '10.2.0.0/26'],
      learned: [
        { prefix: '10.1.0.5/32', nextHops: ['10.0.0.2'] },
        { prefix: '10.2.0.0/26', nextHops: ['10.0.0.2'] },
        { prefix: '10.3.0.0/26', nextHops: ['10.0.0.2', '10.0.0.3'] },
      ],
    });
    expect(
      routes.map(({ destination, type, protocol, device, gateways }) => [
        destination,
        type,
        protocol,
        device ?? gateways.join(),
      ]),
    ).toEqual([
      ['10.1.0.0/26', 'blackhole', 'local', ''],
      ['10.2.0.0/26', 'unicast', 'bgp', '10.0.0.2'],
      ['10.1.0.5/32', 'unicast', 'local', 'cali1'],
      ['10.3.0.0/26', 'unicast', 'bgp', '10.0.0.2,10.0.0.3'],
    ]);
  });

  it('use LOCAL_PREF as metric (B-071), exclude Services (B-070), and include reachableBy (B-056)', () => {
    const routes = desiredRoutes({
      endpoints: [],
      blocks: [],
      learned: [
        { prefix: '10.1.0.0/26', nextHops: ['10.0.0.2'], localPref: 2147483647 - 512 },
        { prefix: '10.2.0.0/26', nextHops: ['10.0.0.2'], localPref: 2147482623 },
        { prefix: '10.3.0.0/26', nextHops: ['10.0.0.2'], localPref: 100 },
        { prefix: '10.96.0.1/32', nextHops: ['10.0.0.2'] },
      ],
      refused: ['10.96.0.0/12'],
      reachable: [{ address: '192.0.2.1', gateway: '10.0.0.254' }],
    });
    expect(routes.map(({ destination, metric, gateways }) => [destination, metric, gateways[0]])).toEqual([
      ['192.0.2.1/32', undefined, '10.0.0.254'],
      ['10.1.0.0/26', 512, '10.0.0.2'],
      ['10.2.0.0/26', undefined, '10.0.0.2'],
      ['10.3.0.0/26', undefined, '10.0.0.2'],
    ]);
  });

  it('use the interface names of Calico', () => {
    // printf default.busybox | sha1sum
    expect(podInterfaceName('default', 'busybox')).toBe('cali12d4a061371');
  });
});

describe('routes of a node without BGP', () => {
  const far = node('n3', '10.0.9.9/24');
  const bare = node('n4', '10.0.8.8/24');

  it('are one per remote block and borrowed address, and none for own ones (F-040 to F-043)', () => {
    const owner = { handleId: 'h', attributes: { node: 'n4' } };
    const first = assignNext(newBlock('10.1.3.0/26', 'n3', 1), owner, () => false)!;
    const mine = assignNext(first.block, { handleId: 'i', attributes: { node: 'n1' } }, () => false)!;
    const blocks = [mine.block, newBlock('10.1.0.0/26', 'n1', 1), newBlock('10.1.9.0/26', 'gone', 1)].map(
      (spec) =>
        ipamBlockKind.schema.parse({ apiVersion: v3, kind: 'IPAMBlock', metadata: { name: 'b' }, spec }),
    );
    expect(knownRoutes('n1', [far, bare], blocks)).toEqual([
      { prefix: '10.1.3.0/26', nextHops: ['10.0.9.9'] },
      { prefix: `${first.address}/32`, nextHops: ['10.0.8.8'] },
    ]);
  });
});
