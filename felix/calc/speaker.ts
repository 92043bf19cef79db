/** From the datastore to what the BGP speaker shall be. Calico reference 2.4 and 2.5. */
import type { DesiredSpeaker, PeerConfig } from '../../bgp/peer-config.ts';
import { type BGPConfiguration, type BGPPeer, parsePeerIP } from '../../datastore/schema/bgp.ts';
import type { IPPool } from '../../datastore/schema/ip-pool.ts';
import { type Family, familyOf } from '../../lib/cidr.ts';
import { parseSelector } from '../../lib/selector.ts';
import type { NodeInfo } from './topology.ts';

export interface SpeakerInput {
  readonly node: string;
  readonly nodes: readonly NodeInfo[];
  readonly configurations: readonly BGPConfiguration[];
  readonly peers: readonly BGPPeer[];
  readonly pools: readonly IPPool[];
  readonly originated: readonly string[];
  readonly holdTimeSeconds: number;
  readonly restartTimeSeconds: number;
}

/** AS number of a cluster that sets none (Calico). */
const DEFAULT_AS = 64512;
const BGP_PORT = 179;

export function desiredSpeaker(input: SpeakerInput): DesiredSpeaker {
  const self = input.nodes.find(({ name }) => name === input.node);
  const transit = input.pools.filter(({ spec }) => !spec.disableBGPExport).map(({ spec }) => spec.cidr);
  if (!self) return { peers: [], originated: input.originated, transit };
  const peers = new Map<string, PeerConfig>();
  // The first definition of an address and port wins (Calico B-045): explicit peers before the mesh.
  for (const peer of [...explicitPeers(self, input), ...meshPeers(self, input)]) {
    const key = `${peer.address}|${peer.port}`;
    if (!peers.has(key)) peers.set(key, peer);
  }
  const sorted = [...peers.values()].sort((a, b) => (a.address < b.address ? -1 : 1));
  return { peers: sorted, originated: input.originated, transit };
}

/** TCP port of a node: its own BGPConfiguration, the default one, 179 (Calico B-024). */
export function listenPort(node: string, configurations: readonly BGPConfiguration[]): number {
  const own = configurations.find(({ metadata }) => metadata.name === `node.${node}`);
  return own?.spec.listenPort ?? defaults(configurations)?.spec.listenPort ?? BGP_PORT;
}

/** AS number of a node: its annotation, the default configuration's, 64512 (Calico B-026). */
export function asNumberOf(node: NodeInfo, configurations: readonly BGPConfiguration[]): number {
  return node.asNumber ?? defaults(configurations)?.spec.asNumber ?? DEFAULT_AS;
}

function defaults(configurations: readonly BGPConfiguration[]): BGPConfiguration | undefined {
  return configurations.find(({ metadata }) => metadata.name === 'default');
}

function* meshPeers(self: NodeInfo, input: SpeakerInput): Generator<PeerConfig> {
  const isMesh = defaults(input.configurations)?.spec.nodeToNodeMeshEnabled ?? true;
  if (!isMesh || self.clusterId) return;
  for (const node of input.nodes) {
    if (node.name === self.name || node.clusterId) continue;
    for (const family of [4, 6] as const) {
      const own = self.addresses[family]?.address;
      const address = node.addresses[family]?.address;
      if (!own || !address || own === address) continue;
      yield {
        ...commonConfig(self, input, family),
        address,
        port: listenPort(node.name, input.configurations),
        asNumber: asNumberOf(node, input.configurations),
        // Exactly one side connects, by plain comparison of the texts (Calico B-035).
        isPassive: address > own,
        peerType: 'node-to-node mesh',
        name: node.name,
      };
    }
  }
}

function* explicitPeers(self: NodeInfo, input: SpeakerInput): Generator<PeerConfig> {
  const ours = input.peers.filter(({ spec }) => selectsNode(spec, self));
  const isGlobal = ({ spec }: BGPPeer) => !spec.node && !spec.nodeSelector;
  for (const peer of [...ours.filter(isGlobal), ...ours.filter((candidate) => !isGlobal(candidate))]) {
    const peerType = isGlobal(peer) ? 'global' : 'node specific';
    for (const remote of remotes(peer, self, input)) {
      const family = familyOf(remote.address);
      const own = self.addresses[family]?.address;
      if (remote.address === own) continue;
      yield {
        ...commonConfig(self, input, family),
        ...remote,
        localAs: peer.spec.localASNumber ?? asNumberOf(self, input.configurations),
        localAddress: peer.spec.sourceAddress === 'None' ? undefined : own,
        isPassive: peerType === 'global' && remote.isNode && own !== undefined && remote.address > own,
        allowedLocalAs: peer.spec.numAllowedLocalASNumbers ?? 0,
        peerType,
        name: peer.metadata.name,
      };
    }
  }
}

function remotes({ spec }: BGPPeer, self: NodeInfo, input: SpeakerInput) {
  if (spec.peerIP) {
    const { address, port } = parsePeerIP(spec.peerIP)!;
    const node = input.nodes.find(
      ({ addresses }) => addresses[4]?.address === address || addresses[6]?.address === address,
    );
    const nodePort = node ? listenPort(node.name, input.configurations) : BGP_PORT;
    return [
      { address, port: port ?? nodePort, asNumber: spec.asNumber ?? DEFAULT_AS, isNode: node !== undefined },
    ];
  }
  const selector = spec.peerSelector === undefined ? undefined : parseSelector(spec.peerSelector);
  if (!selector?.ok) return [];
  return input.nodes
    .filter((node) => node.name !== self.name && selector.matches(node.labels))
    .flatMap((node) =>
      ([4, 6] as const).flatMap((family) => {
        const address = node.addresses[family]?.address;
        if (!address) return [];
        const asNumber = asNumberOf(node, input.configurations);
        return [{ address, port: listenPort(node.name, input.configurations), asNumber, isNode: true }];
      }),
    );
}

function selectsNode(spec: BGPPeer['spec'], self: NodeInfo): boolean {
  if (spec.node) return spec.node === self.name;
  if (!spec.nodeSelector) return true;
  const selector = parseSelector(spec.nodeSelector);
  return selector.ok && selector.matches(self.labels);
}

/** What all peers of a node share. One session per family, over that family, as BIRD and BIRD6 do (Calico 2.1). */
function commonConfig(self: NodeInfo, input: SpeakerInput, family: Family) {
  return {
    localAs: asNumberOf(self, input.configurations),
    localAddress: self.addresses[family]?.address,
    families: [family],
    holdTimeSeconds: input.holdTimeSeconds,
    keepaliveSeconds: undefined,
    restartTimeSeconds: input.restartTimeSeconds,
    allowedLocalAs: 0,
  };
}
