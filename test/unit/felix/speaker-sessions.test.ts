import { describe, expect, it } from 'vitest';
import { nodeAnnotations, podKind } from '../../../datastore/schema/core.ts';
import type { SecretState } from '../../../felix/calc/bgp/password.ts';
import { desiredSpeaker } from '../../../felix/calc/bgp/speaker.ts';
import { workloadLabels, workloadPeeringAddresses } from '../../../felix/calc/bgp/workloads.ts';
import { base, brief, configuration, node, peer, pool } from '../../helpers/calc-input.ts';

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

  it('peerIP without asNumber has the AS number of the Node there, its own or the default', () => {
    const session = (peerIP: string, nodes = base.nodes) =>
      desiredSpeaker({
        ...base,
        nodes,
        configurations: [configuration({ nodeToNodeMeshEnabled: false, asNumber: 64999 })],
        peers: [peer('one', { node: 'n1', peerIP })],
      }).peers.map(({ asNumber, unusable }) => [asNumber, unusable]);
    const own = base.nodes.map((one) => (one.name === 'n2' ? { ...one, asNumber: 65002 } : one));
    expect(session('10.0.0.10')).toEqual([[64999, undefined]]);
    expect(session('10.0.0.10', own)).toEqual([[65002, undefined]]);
    expect(session('192.0.2.1')).toEqual([
      [expect.any(Number), 'no Node has the address 192.0.2.1: set spec.asNumber of BGPPeer one'],
    ]);
  });

  it('passive waits for the peer, and a node on the other side of the session connects', () => {
    const session = (node: string, peerIP: string, passive?: boolean) =>
      desiredSpeaker({
        ...base,
        node,
        configurations: [configuration({ nodeToNodeMeshEnabled: false })],
        peers: [peer('one', { node: 'n1', peerIP, asNumber: 64512, passive })],
      }).peers.map(({ address, isPassive }) => [address, isPassive]);
    expect(session('n1', '192.0.2.1')).toEqual([['192.0.2.1', false]]);
    expect(session('n1', '192.0.2.1', true)).toEqual([['192.0.2.1', true]]);
    const n2 = '10.0.0.10';
    expect([session('n1', n2, true), session('n2', n2, true)]).toEqual([[[n2, true]], [['10.0.0.9', false]]]);
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
