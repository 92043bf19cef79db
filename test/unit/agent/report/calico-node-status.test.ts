import { describe, expect, it } from 'vitest';
import { type StatusSources, statusOf } from '../../../../agent/report/calico-node-status.ts';
import type { AgentStatus } from '../../../../agent/report/status.ts';
import type { PathView } from '../../../../bgp/routes-view.ts';
import { calicoNodeStatusKind } from '../../../../datastore/schema/node-status.ts';
import { endpoint } from '../../../helpers/calc-input.ts';
import { peerStatus } from '../../../helpers/metrics.ts';

const agent = (bgp: Partial<AgentStatus['bgp']> = {}): AgentStatus => ({
  node: 'n1',
  version: '9',
  pid: 1,
  startedAt: Date.UTC(2026, 0, 1),
  notReady: [],
  bgp: {
    error: undefined,
    asNumber: 64_512,
    routerId: '10.0.0.1',
    families: [4],
    isSettled: true,
    peers: [],
    ...bgp,
  },
  tunnels: [],
  podMtu: 1_500,
  dataplane: { routes: 0, problems: [] },
  endpoints: 0,
  objects: [],
  objectProblems: 0,
  notices: [],
});
const path = (more: Partial<PathView>): PathView => ({
  from: '10.0.0.2',
  pathId: 0,
  attributes: { origin: 0, asPath: [], nextHop: '10.0.0.2' } as unknown as PathView['attributes'],
  isUsable: true,
  isBest: true,
  isStale: false,
  reason: 'best',
  ...more,
});
function status(classes: readonly string[], sources: Partial<StatusSources> = {}) {
  const object = calicoNodeStatusKind.schema.parse({
    apiVersion: 'projectcalico.org/v3',
    kind: 'CalicoNodeStatus',
    metadata: { name: 's' },
    spec: { node: 'n1', classes },
  });
  return statusOf(object, {
    agent: agent(),
    routes: [],
    endpoints: [],
    deviceOf: () => undefined,
    ...sources,
  });
}

describe('the status of a node', () => {
  it('has only the requested parts', () => {
    expect(Object.keys(status(['BGP']))).toEqual(['bgp']);
    expect(Object.keys(status(['Routes', 'Agent', 'BGP']))).toEqual(['agent', 'bgp', 'routes']);
  });

  it('has an agent for each address family of the speaker, and says when BGP does not run', () => {
    const both = status(['Agent'], { agent: agent({ families: [4, 6] }) });
    const daemon = {
      state: 'Ready',
      version: 'cali 9',
      routerID: '10.0.0.1',
      lastBootTime: '2026-01-01T00:00:00.000Z',
    };
    expect(both).toEqual({ agent: { birdV4: daemon, birdV6: daemon } });
    const broken = status(['Agent'], { agent: agent({ error: 'port 179 is in use', routerId: undefined }) });
    expect(broken).toMatchObject({ agent: { birdV4: { state: 'NotReady', routerID: '' } } });
  });

  it('counts sessions by the family of the peer’s address', () => {
    const peers = [
      peerStatus({ address: '10.0.0.2' }),
      peerStatus({ address: '10.0.0.3', peerType: 'global' }, { state: 'Connect' }),
      peerStatus({ address: 'fe80::1%eth0', peerType: 'dynamic' }, { state: 'Idle' }),
    ];
    expect(status(['BGP'], { agent: agent({ peers }) })).toEqual({
      bgp: {
        numberEstablishedV4: 1,
        numberNotEstablishedV4: 1,
        peersV4: [
          { peerIP: '10.0.0.2', type: 'NodeMesh', state: 'Established', since: '1970-01-01T00:00:00.000Z' },
          { peerIP: '10.0.0.3', type: 'GlobalPeer', state: 'Connect', since: '1970-01-01T00:00:00.000Z' },
        ],
        numberEstablishedV6: 0,
        numberNotEstablishedV6: 1,
        peersV6: [
          { peerIP: 'fe80::1%eth0', type: 'NodePeer', state: 'Idle', since: '1970-01-01T00:00:00.000Z' },
        ],
      },
    });
  });

  it('lists routes of pods, of this node and of peers, in order of destination', () => {
    const routes = status(['Routes'], {
      agent: agent({
        peers: [peerStatus({ address: '10.0.0.2' }), peerStatus({ address: '10.0.0.9', peerType: 'global' })],
      }),
      endpoints: [endpoint('cali1', '10.244.0.5', 'fd00::5')],
      deviceOf: (destination) => (destination === '10.244.1.0/26' ? 'eth0' : undefined),
      routes: [
        { prefix: '10.244.1.0/26', paths: [path({}), path({ from: '10.0.0.9', isBest: false })] },
        { prefix: '10.244.0.0/26', paths: [path({ from: undefined })] },
      ],
    });
    const learned = { destination: '10.244.1.0/26', gateway: '10.0.0.2', interface: 'eth0' };
    expect(routes).toEqual({
      routes: {
        routesV4: [
          {
            ...{ type: 'FIB', destination: '10.244.0.0/26', gateway: 'N/A', interface: 'blackhole' },
            learnedFrom: { sourceType: 'Static' },
          },
          {
            ...{ type: 'FIB', destination: '10.244.0.5/32', gateway: 'N/A', interface: 'cali1' },
            learnedFrom: { sourceType: 'Direct' },
          },
          { type: 'FIB', ...learned, learnedFrom: { sourceType: 'NodeMesh', peerIP: '10.0.0.2' } },
          { type: 'RIB', ...learned, learnedFrom: { sourceType: 'BGPPeer', peerIP: '10.0.0.9' } },
        ],
        routesV6: [
          {
            ...{ type: 'FIB', destination: 'fd00::5/128', gateway: 'N/A', interface: 'cali1' },
            learnedFrom: { sourceType: 'Direct' },
          },
        ],
      },
    });
  });
});
