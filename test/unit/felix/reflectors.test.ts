import { describe, expect, it } from 'vitest';
import { MeshHold } from '../../../agent/inputs/mesh-hold.ts';
import { OwnEndpoint, ReflectorEndpoints } from '../../../agent/inputs/reflector-endpoints.ts';
import { bgpConfigurationKind } from '../../../datastore/schema/bgp-configuration.ts';
import { type BGPPeer, bgpPeerKind } from '../../../datastore/schema/bgp-peer.ts';
import { endpointSliceKind, nodeKind, serviceKind } from '../../../datastore/schema/core.ts';
import { type ReflectorInfo, reflectorsFrom } from '../../../felix/calc/bgp/reflectors.ts';
import { desiredSpeaker } from '../../../felix/calc/bgp/speaker.ts';
import { nodeInfo } from '../../../model/node.ts';

const v3 = 'projectcalico.org/v3';
const node = (name: string, address: string) =>
  nodeInfo(
    nodeKind.schema.parse({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: {
        name,
        labels: { rack: 'a' },
        annotations: { 'projectcalico.org/IPv4Address': `${address}/24` },
      },
    }),
  );
const nodes = [node('n1', '172.18.0.11'), node('n2', '172.18.0.12'), node('n3', '172.18.0.13')];
const metadata = {
  name: 'cali-reflector',
  namespace: 'kube-system',
  labels: { 'route-reflector': 'true' },
  annotations: { 'projectcalico.org/RouteReflectorClusterID': '244.0.0.1' },
};
const service = serviceKind.schema.parse({ apiVersion: 'v1', kind: 'Service', metadata });
const slice = (family: 4 | 6, endpoints: object[]) =>
  endpointSliceKind.schema.parse({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `s${family}`,
      namespace: 'kube-system',
      labels: { 'kubernetes.io/service-name': metadata.name },
    },
    addressType: `IPv${family}`,
    ports: [{ name: 'bgp', port: 1790 }],
    endpoints,
  });
const running = [
  { addresses: ['172.18.0.11'], nodeName: 'n1', conditions: { ready: false } },
  { addresses: ['172.18.0.12'], nodeName: 'n2' },
];
const peer = (spec: object = {}): BGPPeer =>
  bgpPeerKind.schema.parse({
    apiVersion: v3,
    kind: 'BGPPeer',
    metadata: { name: 'reflectors' },
    spec: { nodeSelector: 'all()', peerSelector: "route-reflector == 'true'", ...spec },
  });
const withoutMesh = bgpConfigurationKind.schema.parse({
  apiVersion: v3,
  kind: 'BGPConfiguration',
  metadata: { name: 'default' },
  spec: { nodeToNodeMeshEnabled: false },
});

const speakerOf = (self: string, reflectors: readonly ReflectorInfo[], peers = [peer()]) =>
  desiredSpeaker({
    node: self,
    nodes,
    reflectors,
    configurations: [withoutMesh],
    peers,
    pools: [],
    originated: [],
    holdTimeSeconds: 90,
    restartTimeSeconds: 120,
  }).peers.map(({ address, port, isPassive, isDialOnly, isClient, clusterId, peerType }) =>
    [
      `${address}:${port}`,
      peerType,
      isPassive && 'passive',
      isDialOnly && 'dials',
      isClient && 'client',
      clusterId,
    ]
      .filter(Boolean)
      .join(' '),
  );

describe('reflector Deployments', () => {
  const found = reflectorsFrom([service], [slice(4, running)], ['kube-system']);

  it('are the endpoints of annotated Services, one per node with both families', () => {
    const six = slice(6, [{ addresses: ['fd00::12'], nodeName: 'n2' }]);
    const both = reflectorsFrom([service], [slice(4, running), six], ['kube-system']);
    expect(
      both.map(({ name, addresses, port, isLive }) => [
        name,
        addresses[4]?.address,
        addresses[6]?.address,
        port,
        isLive,
      ]),
    ).toEqual([
      ['kube-system/cali-reflector', undefined, undefined, 0, false],
      ['kube-system/cali-reflector on n1', '172.18.0.11', undefined, 1790, true],
      ['kube-system/cali-reflector on n2', '172.18.0.12', 'fd00::12', 1790, true],
    ]);
    const { annotations: _, ...plain } = metadata;
    const other = serviceKind.schema.parse({ apiVersion: 'v1', kind: 'Service', metadata: plain });
    expect(reflectorsFrom([other], [slice(4, running)], ['kube-system'])).toEqual([]);
  });

  it('are dialled by each node, also the local one; connections from their address are not taken for them', () => {
    expect(speakerOf('n1', found)).toEqual([
      '172.18.0.11:1790 node specific dials',
      '172.18.0.12:1790 node specific dials',
    ]);
  });

  it('have the nodes as clients, wait for them to connect, and do not peer with each other', () => {
    expect(speakerOf('kube-system/cali-reflector on n1', found)).toEqual([
      '172.18.0.11:179 node specific passive client 244.0.0.1',
      '172.18.0.12:179 node specific passive client 244.0.0.1',
      '172.18.0.13:179 node specific passive client 244.0.0.1',
    ]);
    const onlyOne = [peer({ nodeSelector: undefined, node: 'n3' })];
    expect(speakerOf('kube-system/cali-reflector on n1', found, onlyOne)).toEqual([
      '172.18.0.13:179 node specific passive client 244.0.0.1',
    ]);
  });

  it('are replaced by a mesh of the nodes while none exists', () => {
    const mesh = ['172.18.0.12:179 node-to-node mesh passive', '172.18.0.13:179 node-to-node mesh passive'];
    expect(speakerOf('n1', reflectorsFrom([service], [], ['kube-system']))).toEqual(mesh);
    expect(speakerOf('n1', reflectorsFrom([service], [slice(4, [])], ['kube-system']))).toEqual(mesh);
    // Without a BGPPeer that selects it or without the Service, the configuration decides.
    expect(speakerOf('n1', reflectorsFrom([service], [], ['kube-system']), [])).toEqual([]);
    expect(speakerOf('n1', [])).toEqual([]);
  });

  it('let the mesh last a few seconds after it is disabled, because its replacement may arrive later', () => {
    const hold = new MeshHold();
    const withMesh = { ...withoutMesh, spec: { nodeToNodeMeshEnabled: true } };
    expect(hold.update([withoutMesh], 0)).toBe(0);
    expect(hold.update([withMesh], 1_000)).toBe(0);
    expect(hold.update([withoutMesh], 2_000)).toBe(5_000);
    expect(hold.update([withoutMesh], 6_000)).toBe(1_000);
    expect(hold.update([withoutMesh], 7_000)).toBe(0);
  });

  it('remain for the restart time after they leave their Service, but soon no longer replace the mesh', () => {
    const endpoints = new ReflectorEndpoints(120_000);
    const gone = reflectorsFrom([service], [slice(4, [])], ['kube-system']);
    const live = (list: readonly ReflectorInfo[]) =>
      list.filter(({ port }) => port > 0).map(({ isLive }) => isLive);
    expect(live(endpoints.update(found, 0))).toEqual([true, true]);
    expect(endpoints.nextChange(0)).toBeUndefined();
    expect(live(endpoints.update(gone, 5_000))).toEqual([true, true]);
    expect(endpoints.nextChange(5_000)).toBe(5_001);
    expect(live(endpoints.update(gone, 10_001))).toEqual([false, false]);
    expect(endpoints.nextChange(10_001)).toBe(110_000);
    expect(live(endpoints.update(gone, 120_001))).toEqual([]);
    // Deleting the Service removes them at once.
    endpoints.update(found, 130_000);
    expect(endpoints.update([], 130_001)).toEqual([]);
  });

  it('of a deleted Service do not belong to a new Service with the same name', () => {
    const endpoints = new ReflectorEndpoints(120_000);
    const [old, again] = ['one', 'two'].map((uid) => ({ ...service, metadata: { ...metadata, uid } }));
    const owned = slice(4, running);
    const ownerReferences = [{ kind: 'Service', name: metadata.name, uid: 'one' }];
    const slices = [{ ...owned, metadata: { ...owned.metadata, ownerReferences } }];
    expect(endpoints.update(reflectorsFrom([old!], slices, ['kube-system']), 0)).toHaveLength(3);
    // The EndpointSlice is deleted later than the Service.
    expect(endpoints.update(reflectorsFrom([again!], slices, ['kube-system']), 1)).toHaveLength(1);
  });
});

it('a reflector whose pod is being deleted keeps its peers until its Service is gone', () => {
  const own = new OwnEndpoint('kube-system/cali-reflector on n1');
  const nobody = reflectorsFrom([service], [slice(4, [])], ['kube-system']);
  expect([own.update(nobody), own.isListed]).toEqual([nobody, false]);
  const both = reflectorsFrom([service], [slice(4, running)], ['kube-system']);
  expect(own.update(both)).toEqual(both);
  const peersOf = (reflectors: readonly ReflectorInfo[]) =>
    speakerOf('kube-system/cali-reflector on n1', reflectors);
  const before = peersOf(both);
  expect(before).toHaveLength(3);
  expect(peersOf(own.update(nobody))).toEqual(before);
  expect(peersOf(own.update([]))).toEqual([]);
});
