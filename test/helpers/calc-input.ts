import { bgpConfigurationKind } from '../../datastore/schema/bgp-configuration.ts';
import { bgpPeerKind } from '../../datastore/schema/bgp-peer.ts';
import { ipPoolKind } from '../../datastore/schema/ip-pool.ts';
import { desiredSpeaker, type SpeakerInput } from '../../felix/calc/bgp/speaker.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import { nodeInfo } from '../../model/node.ts';

export const v3 = 'projectcalico.org/v3' as const;
export const node = (
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
export const configuration = (spec: object, name = 'default') =>
  bgpConfigurationKind.schema.parse({ apiVersion: v3, kind: 'BGPConfiguration', metadata: { name }, spec });
export const peer = (name: string, spec: object) =>
  bgpPeerKind.schema.parse({ apiVersion: v3, kind: 'BGPPeer', metadata: { name }, spec });
export const pool = (cidr: string, spec: object = {}) =>
  ipPoolKind.schema.parse({
    apiVersion: v3,
    kind: 'IPPool',
    metadata: { name: 'p' },
    spec: { cidr, ...spec },
  });
export const endpoint = (interfaceName: string, ...addresses: string[]): Endpoint => ({
  containerId: interfaceName,
  containerInterface: 'eth0',
  network: 'n',
  interfaceName,
  mac: '02:00:00:00:00:01',
  mtu: 1500,
  addresses,
  netns: '/x',
});

export const base: SpeakerInput = {
  node: 'n1',
  nodes: [node('n1', '10.0.0.9/24'), node('n2', '10.0.0.10/24'), node('n3', '10.0.0.8/24')],
  configurations: [],
  peers: [],
  pools: [],
  originated: [],
  holdTimeSeconds: 90,
  restartTimeSeconds: 120,
};
export const brief = (input: Partial<SpeakerInput>) =>
  desiredSpeaker({ ...base, ...input }).peers.map(
    (p) => `${p.address}:${p.port} AS${p.asNumber} ${p.isPassive ? 'passive' : 'active'} ${p.peerType}`,
  );
