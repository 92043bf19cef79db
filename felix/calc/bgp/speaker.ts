/** Derives the desired state of the BGP speaker from the datastore. Calico reference 2.4 and 2.5. */
import type { DesiredSpeaker, Originated, PeerConfig, PeerType } from '../../../bgp/peer/config.ts';
import type { PrefixPolicy } from '../../../bgp/policy/import.ts';
import { applyRulesPolicy } from '../../../bgp/policy/rules-policy.ts';
import type { BGPConfiguration } from '../../../datastore/schema/bgp-configuration.ts';
import { parsePeerIP } from '../../../datastore/schema/bgp-fields.ts';
import type { BGPFilter } from '../../../datastore/schema/bgp-filter.ts';
import type { BGPPeer } from '../../../datastore/schema/bgp-peer.ts';
import type { IPPool } from '../../../datastore/schema/ip-pool.ts';
import { type Family, familyOf, hostCidr } from '../../../lib/cidr.ts';
import { parseSelector } from '../../../lib/selector.ts';
import type { NodeInfo } from '../../../model/node.ts';
import { acceptDefaultRoute, asNumberOf, BGP_PORT, DEFAULT_AS, defaultsOf, listenPort } from './cluster.ts';
import { clusterRanges, type HostFacts, type KernelImportRules, kernelImport } from './kernel-import.ts';
import { isOnLink } from './on-link.ts';
import type { Secrets } from './password.ts';
import { type ExportRules, exportPolicy, exportRules, filterWarning, rulesOf } from './policy.ts';
import type { ReflectorInfo } from './reflectors.ts';
import { isGlobal, selectsNode } from './selection.ts';
import { servesNodes } from './serving.ts';
import { meshSettings, nextHopModeOf, peerSettings, type SessionDefaults } from './session.ts';
import { selectedWorkloads, type Workload } from './workloads.ts';

export interface SpeakerInput extends SessionDefaults {
  readonly node: string;
  readonly nodes: readonly NodeInfo[];
  /** Whether the mesh is kept although it is disabled. */
  readonly isMeshHeld?: boolean;
  /** Reflectors of a Deployment. */
  readonly reflectors?: readonly ReflectorInfo[];
  readonly configurations: readonly BGPConfiguration[];
  readonly peers: readonly BGPPeer[];
  readonly filters?: readonly BGPFilter[];
  /** Names of BGPFilters that exist but cannot be used. They reject all routes. */
  readonly unusableFilters?: readonly string[];
  readonly pools: readonly IPPool[];
  readonly secrets?: Secrets;
  /** Whether this process can require a minimum TTL of received packets (RFC 5082). */
  readonly canDemandTtl?: boolean;
  /** Facts about this host's kernel; undefined for a speaker that programs no kernel. */
  readonly host?: HostFacts;
  /** CIDRs of all IPAM blocks of the cluster, or the nodes' podCIDRs. */
  readonly blocks?: readonly string[];
  /** Whether `blocks` are podCIDRs. */
  readonly arePodCidrs?: boolean;
  /** Addresses of the API server. */
  readonly apiServers?: readonly string[];
  /** Pods of this node. */
  readonly workloads?: readonly Workload[];
  readonly originated: readonly Originated[];
}

/** The other side of a session. */
interface Remote {
  readonly address: string;
  readonly port: number;
  readonly asNumber: number;
  /** Undefined when it is outside this cluster. */
  readonly node: NodeInfo | ReflectorInfo | undefined;
  /** Why no session is possible; undefined when one is. */
  readonly unusable?: string;
}

interface Context extends SpeakerInput {
  readonly self: NodeInfo;
  readonly rules: ExportRules;
  /** Returns the import policy by prefix for a type of peer. */
  readonly prefixPolicy: (peerType: PeerType) => PrefixPolicy | undefined;
}

export function desiredSpeaker(input: SpeakerInput): DesiredSpeaker {
  const self = [...input.nodes, ...(input.reflectors ?? [])].find(({ name }) => name === input.node);
  if (!self) return { peers: [], originated: input.originated };
  const rules = exportRules(
    { name: self.name, isReflector: self.clusterId !== undefined },
    input.pools,
    input.configurations,
  );
  const context = { ...input, self, rules, prefixPolicy: prefixPolicies(input) };
  const peers = new Map<string, PeerConfig>();
  // The first definition of an address and port wins (Calico B-045): explicit peers before the mesh.
  for (const peer of [...explicitPeers(context), ...reversePeers(context), ...meshPeers(context)]) {
    const key = `${peer.address}|${peer.port}`;
    if (!peers.has(key)) peers.set(key, peer);
  }
  const sorted = [...peers.values()].sort((a, b) => (a.address < b.address ? -1 : 1));
  return { peers: sorted, originated: input.originated };
}

/** Creates one import policy by prefix for each type of peer. */
function prefixPolicies(input: SpeakerInput): Context['prefixPolicy'] {
  const {
    host,
    node,
    nodes,
    pools,
    configurations,
    blocks = [],
    apiServers = [],
    arePodCidrs = false,
  } = input;
  if (!host) return () => undefined;
  const addresses = nodes.flatMap((one) => Object.values(one.addresses).map(({ address }) => address));
  const infrastructure = [...addresses, ...apiServers].sort();
  const taken = [...host.networks, ...host.addresses.map(hostCidr), ...infrastructure.map(hostCidr)];
  const rules: KernelImportRules = {
    host,
    acceptDefaultRoute: acceptDefaultRoute(node, configurations),
    cluster: clusterRanges(pools, defaultsOf(configurations), blocks, { taken, arePodCidrs }),
    infrastructure,
    peerAddresses: peerAddresses(input.peers),
  };
  const made = new Map<PeerType, PrefixPolicy>();
  return (peerType) => {
    const policy = made.get(peerType) ?? kernelImport(rules, peerType);
    made.set(peerType, policy);
    return policy;
  };
}

/** Returns the addresses in BGPPeers, without link-local ones. */
function peerAddresses(peers: readonly BGPPeer[]): string[] {
  const found = peers.flatMap(({ spec }) => (spec.peerIP ? [parsePeerIP(spec.peerIP)!.address] : []));
  return [...new Set(found.filter((address) => !address.includes('%')))].sort();
}

function* meshPeers(context: Context): Generator<PeerConfig> {
  const { self, configurations, rules } = context;
  const isOn = defaultsOf(configurations).nodeToNodeMeshEnabled ?? true;
  const isMesh = isOn || context.isMeshHeld || isWithoutReflector(context);
  if (!isMesh || !isInMesh(self, context)) return;
  const localAs = asNumberOf(self, configurations);
  for (const node of context.nodes) {
    if (node.name === self.name || !isInMesh(node, context)) continue;
    for (const family of [4, 6] as const) {
      const own = self.addresses[family]?.address;
      const address = node.addresses[family]?.address;
      if (!own || !address || own === address) continue;
      const asNumber = asNumberOf(node, configurations);
      yield {
        ...meshSettings(family, configurations, context, secretsOf(context)),
        localAs,
        localAddress: own,
        address,
        port: listenPort(node.name, configurations),
        asNumber,
        ttlSecurityHops: nodeHops(context, node, family),
        // Exactly one side connects, by comparison of the texts (Calico B-035).
        isPassive: address > own,
        peerType: 'node-to-node mesh',
        name: node.name,
        prefixPolicy: context.prefixPolicy('node-to-node mesh'),
        // BGPFilters never apply to the mesh (B-037).
        exportPolicy: exportPolicy(rules, [], asNumber === localAs),
      };
    }
  }
}

/** Whether a node is in the mesh. A reflecting node leaves it when it has clients. */
function isInMesh(node: NodeInfo, { nodes, peers }: Context): boolean {
  return node.clusterId === undefined || !servesNodes(node, nodes, peers);
}

/** Returns 1 (GTSM hops) when a node must be on this node's link, else undefined. */
function nodeHops({ self, canDemandTtl }: Context, node: NodeInfo, family: Family): number | undefined {
  return canDemandTtl && isOnLink(self, node, family) ? 1 : undefined;
}

/** Whether a BGPPeer of this node selects reflectors, but none of them is live. The nodes then keep the mesh. */
function isWithoutReflector({ peers, self, reflectors = [] }: Context): boolean {
  return peers.some(({ spec }) => {
    if (spec.peerSelector === undefined || !selectsNode(spec, self)) return false;
    const selector = parseSelector(spec.peerSelector);
    const chosen = reflectors.filter(({ labels }) => selector.ok && selector.matches(labels));
    return chosen.length > 0 && !chosen.some(({ isLive }) => isLive);
  });
}

/** Peers from BGPPeers that select this node, global ones before node-specific ones (Calico B-045). */
function* explicitPeers(context: Context): Generator<PeerConfig> {
  // A reflector Deployment is always the remote side: its sessions come from reversePeers.
  if (isReflector(context.self)) return;
  const ours = context.peers.filter(({ spec }) => selectsNode(spec, context.self));
  for (const peer of [...ours.filter(isGlobal), ...ours.filter((candidate) => !isGlobal(candidate))])
    for (const remote of remotesOf(peer, context.self, context)) yield* sessionTo(peer, remote, context);
  for (const peer of ours) yield* workloadPeers(peer, context);
}

/** Calico B-066: peers at the first address per family of each selected pod. The pod connects. */
function* workloadPeers(peer: BGPPeer, context: Context): Generator<PeerConfig> {
  const { asNumber = DEFAULT_AS } = peer.spec;
  for (const { addresses } of selectedWorkloads(peer, context.workloads ?? [])) {
    for (const family of [4, 6] as const) {
      const address = addresses.find((one) => familyOf(one) === family);
      if (!address) continue;
      for (const config of sessionTo(peer, { address, port: BGP_PORT, asNumber, node: undefined }, context))
        yield {
          ...config,
          isPassive: true,
          localAddress: undefined,
          peerType: 'local workload',
          prefixPolicy: context.prefixPolicy('local workload'),
        };
    }
  }
}

/**
 * Calico B-046: a node that a BGPPeer selects as the remote side gets the reverse session, unless reversePeering is
 * Manual. An explicit peer with the same address has precedence.
 */
function* reversePeers(context: Context): Generator<PeerConfig> {
  const { self, nodes, configurations } = context;
  for (const peer of context.peers) {
    if (peer.spec.reversePeering === 'Manual' || peer.spec.localWorkloadSelector) continue;
    for (const node of nodes) {
      if (node.name === self.name || !selectsNode(peer.spec, node)) continue;
      for (const remote of remotesOf(peer, node, context)) {
        if (remote.node?.name !== self.name || remote.asNumber !== asNumberOf(self, configurations)) continue;
        const address = node.addresses[familyOf(remote.address)]?.address;
        if (!address) continue;
        const asNumber = peer.spec.localASNumber ?? asNumberOf(node, configurations);
        const back = { address, port: listenPort(node.name, configurations), asNumber, node };
        const spec = { ...peer.spec, localASNumber: undefined, passive: undefined };
        yield* sessionTo({ ...peer, spec }, back, context);
      }
    }
  }
}

function* sessionTo(peer: BGPPeer, remote: Remote, context: Context): Generator<PeerConfig> {
  const { self, configurations, rules, filters = [], unusableFilters = [] } = context;
  const { spec } = peer;
  const family = familyOf(remote.address);
  const own = self.addresses[family]?.address;
  const isToReflector = isReflector(remote.node);
  // A reflector Deployment may run on this node.
  if (remote.address === own && !isToReflector && !isReflector(self)) return;
  const localAs = spec.localASNumber ?? asNumberOf(self, configurations);
  const isIbgp = remote.asNumber === localAs;
  const names = spec.filters ?? [];
  const isLinkLocal = remote.address.includes('%');
  const settings = peerSettings(spec, family, configurations, context, secretsOf(context));
  const warnings = [settings.warning, filterWarning(names, filters, unusableFilters)].filter(Boolean);
  const machine = nodeSpeaker(remote, context);
  const peerType = isGlobal(peer) ? 'global' : 'node specific';
  yield {
    ...settings,
    ...(remote.unusable === undefined ? {} : { unusable: remote.unusable }),
    ...(warnings.length > 0 ? { warning: warnings.join('; ') } : {}),
    ttlSecurityHops: settings.ttlSecurityHops ?? (machine && nodeHops(context, machine, family)),
    address: remote.address,
    port: remote.port,
    asNumber: remote.asNumber,
    localAs,
    globalAs: asNumberOf(self, configurations),
    localAddress: spec.sourceAddress === 'None' || isLinkLocal || isReflector(self) ? undefined : own,
    // B-047: with a global peering, one of the two nodes connects; with a node-specific one, both do. With a reflector
    // Deployment, the node connects, because a connection from there would look like one of the reflector's node.
    isPassive:
      spec.passive ||
      isReflector(self) ||
      (!isToReflector &&
        isGlobal(peer) &&
        remote.node !== undefined &&
        own !== undefined &&
        remote.address > own),
    ...(isToReflector ? { isDialOnly: true } : {}),
    nextHopMode: nextHopModeOf(spec, isIbgp),
    clusterId: self.clusterId,
    isClient: spec.routeReflectorClient ?? isClient(self, remote, isIbgp),
    importPolicy: applyRulesPolicy(
      'import',
      rulesOf(names, filters, 'import', unusableFilters),
      isIbgp,
      rules.normalPriorities,
    ),
    exportPolicy: exportPolicy(rules, rulesOf(names, filters, 'export', unusableFilters), isIbgp),
    // A reflecting node passes on routes of others. Any other node may announce the same as in the mesh.
    prefixPolicy: context.prefixPolicy(machine && !machine.clusterId ? 'node-to-node mesh' : peerType),
    peerType,
    name: peer.metadata.name,
  };
}

/** Calico B-050, B-051: two reflectors with the same cluster ID are not clients of each other. */
function isClient(self: NodeInfo, { node }: Remote, isIbgp: boolean): boolean {
  return isIbgp && self.clusterId !== undefined && node?.clusterId !== self.clusterId;
}

/** Returns the node whose agent is the other side; undefined for reflectors, other programs on a node, and others. */
function nodeSpeaker({ node, port }: Remote, { configurations }: Context): NodeInfo | undefined {
  if (!node || isReflector(node)) return undefined;
  return port === listenPort(node.name, configurations) ? node : undefined;
}

function isReflector(node: NodeInfo | ReflectorInfo | undefined): node is ReflectorInfo {
  return node !== undefined && 'port' in node;
}

/** Returns the other sides of a BGPPeer's sessions. With peerIP, the AS number may be that of the node there. */
function remotesOf(
  { spec, metadata }: BGPPeer,
  local: NodeInfo,
  { nodes, reflectors = [], configurations }: Context,
): Remote[] {
  if (spec.peerIP) {
    const { address, port } = parsePeerIP(spec.peerIP)!;
    const node = nodes.find(
      ({ addresses }) => addresses[4]?.address === address || addresses[6]?.address === address,
    );
    const nodePort = listenPort(node?.name ?? '', node ? configurations : []);
    const asNumber = spec.asNumber ?? (node && asNumberOf(node, configurations));
    const remote = { address, port: port ?? nodePort, node };
    if (asNumber !== undefined) return [{ ...remote, asNumber }];
    const unusable = `no Node has the address ${address}: set spec.asNumber of BGPPeer ${metadata.name}`;
    return [{ ...remote, asNumber: DEFAULT_AS, unusable }];
  }
  const selector = spec.peerSelector === undefined ? undefined : parseSelector(spec.peerSelector);
  if (!selector?.ok) return [];
  return [...nodes, ...reflectors]
    .filter((node) => node.name !== local.name && selector.matches(node.labels))
    .flatMap((node) =>
      ([4, 6] as readonly Family[]).flatMap((family) => {
        const address = node.addresses[family]?.address;
        if (!address || !local.addresses[family]) return [];
        return [
          {
            address,
            port: isReflector(node) ? node.port : listenPort(node.name, configurations),
            asNumber: asNumberOf(node, configurations),
            node,
          },
        ];
      }),
    );
}

/** Returns the peers of a node that are reachable by a gateway (Calico B-056). */
export function reachablePeers(
  peers: readonly BGPPeer[],
  name: string,
  labels: Readonly<Record<string, string>>,
): { address: string; gateway: string }[] {
  return peers
    .filter(({ spec }) => spec.reachableBy && spec.peerIP && selectsNode(spec, { name, labels }))
    .map(({ spec }) => ({ address: parsePeerIP(spec.peerIP!)!.address, gateway: spec.reachableBy! }));
}

function secretsOf({ secrets }: SpeakerInput): Secrets {
  return secrets ?? ((name) => ({ state: 'missing', reason: `Secret ${name} does not exist` }));
}
