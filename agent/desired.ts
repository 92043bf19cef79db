/** Calculates the desired state of the speaker and the dataplane from the agent's state, with felix/calc. */
import type { LearnedRoute } from '../bgp/learned-routes.ts';
import type { DesiredSpeaker } from '../bgp/peer/config.ts';
import { hasSocketOptions } from '../bgp/transport/socket-options.ts';
import type { BlockAffinity, IPAMBlock } from '../datastore/schema/ipam.ts';
import { acceptDefaultRoute, normalPriority } from '../felix/calc/bgp/cluster.ts';
import type { HostFacts } from '../felix/calc/bgp/kernel-import.ts';
import { isOnLink } from '../felix/calc/bgp/on-link.ts';
import type { Secrets } from '../felix/calc/bgp/password.ts';
import type { ReflectorInfo } from '../felix/calc/bgp/reflectors.ts';
import { type ServiceRoutes, serviceRoutes } from '../felix/calc/bgp/services.ts';
import { desiredSpeaker, reachablePeers } from '../felix/calc/bgp/speaker.ts';
import { type Workload, workloadLabels, workloadPeeringAddresses } from '../felix/calc/bgp/workloads.ts';
import { guardHosts, guardPeers, ownBgpPorts } from '../felix/calc/guard/hosts.ts';
import { knownRoutes, outsidePools, vxlanRoutes } from '../felix/calc/known-routes.ts';
import { exportedPrefixes, type OwnPrefixes, ownPrefixes } from '../felix/calc/own-prefixes.ts';
import { desiredRoutes } from '../felix/calc/routes.ts';
import { type Ruleset, ruleset } from '../felix/calc/ruleset.ts';
import type { DesiredDataplane } from '../felix/dataplane/dataplane.ts';
import { endRoutes } from '../ipip/desired.ts';
import type { Tunnelling } from '../ipip/tunnelling.ts';
import { formatAddress, parseAddress } from '../lib/cidr.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { type NodeInfo, nodeInfo } from '../model/node.ts';
import type { Ownership } from '../model/route-ownership.ts';
import type { Cluster } from './inputs/cluster.ts';
import type { AgentConfig } from './inputs/environment.ts';
import type { Settings } from './inputs/settings.ts';

export interface Known {
  readonly config: AgentConfig;
  readonly view: Cluster;
  /** Pods of this node. */
  readonly endpoints: readonly Endpoint[];
  readonly reflectors: readonly ReflectorInfo[];
  readonly isMeshHeld: boolean;
  /** Host name or address of the API server, as this agent uses it; IPv6 addresses in brackets. */
  readonly api: string;
  /** Names of existing BGPFilters that are unusable. */
  readonly unusableFilters: readonly string[];
  /** Facts about this host's kernel; undefined before the node is known. */
  readonly host: HostFacts | undefined;
  readonly blocks: readonly IPAMBlock[];
  readonly affinities: readonly BlockAffinity[];
}

export function speakerFrom(known: Known, secrets: Secrets): DesiredSpeaker {
  const { config, view } = known;
  const own = exportedPrefixes(prefixesFrom(known), view.pools());
  return desiredSpeaker({
    node: config.node,
    nodes: view.nodes().map(nodeInfo),
    reflectors: known.reflectors,
    isMeshHeld: known.isMeshHeld,
    configurations: view.bgpConfigurations(),
    peers: view.bgpPeers(),
    pools: view.pools(),
    originated: [...own, ...servicesFrom(known).announced].map((prefix) => ({ prefix })),
    filters: view.bgpFilters(),
    unusableFilters: known.unusableFilters,
    ...(known.host ? { host: known.host } : {}),
    blocks: known.blocks.map(({ spec }) => spec.cidr),
    arePodCidrs: config.ipam === 'host-local',
    apiServers: [...new Set([...apiServersFrom(view), ...addressOf(known.api)])].sort(),
    secrets,
    canDemandTtl: config.meshTtlSecurity && hasSocketOptions(),
    workloads: workloadsFrom(known),
    holdTimeSeconds: config.holdTimeSeconds,
    restartTimeSeconds: config.restartTimeSeconds,
  });
}

/** Additional input of the dataplane. */
export interface Learned {
  readonly routes: readonly LearnedRoute[];
  readonly isComplete: boolean;
}

export function dataplaneFrom(
  known: Known,
  { isWithoutBgp, filter }: Settings,
  tunnelling: Tunnelling,
  learned: Learned,
  numbers: Pick<Ownership, 'protocols' | 'former'>,
  ruleset: Ruleset,
): DesiredDataplane {
  const { config, view, endpoints } = known;
  const pools = view.pools();
  const configurations = view.bgpConfigurations();
  const self = { name: config.node, labels: view.nodeLabels() };
  const tunnels = tunnelling.desired();
  const nodes = view.nodes().map(nodeInfo);
  const hasVxlan = config.backend !== 'none' && pools.some(({ spec }) => spec.vxlanMode !== 'Never');
  const datastore = isWithoutBgp || hasVxlan ? knownRoutes(config.node, nodes, known.blocks) : [];
  const own = nodes.find(({ name }) => name === config.node);
  const routes = desiredRoutes({
    endpoints,
    blocks: prefixesFrom(known).blocks,
    learned: isWithoutBgp ? outsidePools(learned.routes, pools) : learned.routes,
    known: isWithoutBgp ? datastore : [],
    fallback: isWithoutBgp ? [] : vxlanRoutes(own, datastore, pools),
    encapsulate: tunnelling.encapsulate(),
    refused: servicesFrom(known).refused,
    reachable: reachablePeers(view.bgpPeers(), self.name, self.labels),
    normalPriorities: { 4: normalPriority(4, configurations), 6: normalPriority(6, configurations) },
  });
  return {
    tunnels,
    ruleset,
    // Before the routes through them.
    routes: [...endRoutes(tunnels), ...routes],
    endpoints: filter.allowsSpoofing
      ? endpoints
      : endpoints.map(({ allowedSourcePrefixes: _, ...endpoint }) => endpoint),
    addresses: workloadPeeringAddresses(self, view.bgpPeers(), configurations, workloadsFrom(known)),
    isLearnedComplete: learned.isComplete,
    ownership: {
      ...numbers,
      ranges: [...pools.map(({ spec }) => spec.cidr), ...servicesFrom(known).refused],
    },
    mayReplaceDefault: acceptDefaultRoute(config.node, configurations) === 'Always',
  };
}

/** Calculates our nftables table. */
export function rulesetFrom(known: Known, settings: Settings, tunnelling: Tunnelling): Ruleset {
  const { config, view, reflectors, endpoints } = known;
  const nodes = view.nodes();
  const configurations = view.bgpConfigurations();
  const self = { name: config.node, labels: view.nodeLabels() };
  const others = nodes.map(nodeInfo).filter(({ name }) => name !== config.node);
  return ruleset({
    hosts: guardHosts(nodes, reflectors, configurations),
    others: others.flatMap(({ addresses }) => Object.values(addresses).map(({ address }) => address)),
    neighbours: config.meshTtlSecurity ? neighboursOf(config.node, nodes.map(nodeInfo)) : [],
    ownBgpPorts: ownBgpPorts(config.node, reflectors, configurations),
    peers: guardPeers(self, view.bgpPeers(), configurations, workloadsFrom(known)),
    spoofers: endpoints.flatMap(({ interfaceName, allowedSourcePrefixes = [] }) =>
      allowedSourcePrefixes.length > 0 ? [{ interfaceName, prefixes: allowedSourcePrefixes }] : [],
    ),
    pools: view.pools(),
    tunnels: tunnelling.desired(),
    settings: settings.filter,
  });
}

/** Returns the addresses of nodes on this node's link that send with TTL 255. */
function neighboursOf(name: string, nodes: readonly NodeInfo[]): string[] {
  const self = nodes.find((node) => node.name === name);
  if (!self) return [];
  return nodes.flatMap((node) =>
    ([4, 6] as const).flatMap((family) =>
      node !== self && isOnLink(self, node, family) ? [node.addresses[family]!.address] : [],
    ),
  );
}

/** Returns the endpoints of the Service `kubernetes` as canonical text. A load balancer in front of them is not one. */
function apiServersFrom(view: Cluster): string[] {
  return view
    .slices()
    .filter(
      ({ metadata: { namespace, labels } }) =>
        namespace === 'default' && labels?.['kubernetes.io/service-name'] === 'kubernetes',
    )
    .flatMap(({ endpoints }) => endpoints ?? [])
    .flatMap(({ addresses }) => addresses)
    .flatMap(addressOf);
}

/** Returns the host's address as canonical text; empty for a name. */
function addressOf(host: string): string[] {
  const address = parseAddress(host.replace(/^\[|\]$/g, ''));
  return address ? [formatAddress(address)] : [];
}

function prefixesFrom({ config, blocks, affinities, endpoints }: Known): OwnPrefixes {
  return ownPrefixes(config.node, blocks, affinities, endpoints);
}

/** Returns the pods of this node, for selection by BGPPeers. */
function workloadsFrom({ view, endpoints }: Known): Workload[] {
  return endpoints.flatMap(({ namespace, pod, addresses, interfaceName }) => {
    if (!namespace || !pod) return [];
    const object = view.pod(namespace, pod);
    const inherited = view.namespace(namespace)?.metadata.labels ?? {};
    const labels = object ? workloadLabels(object, namespace, inherited) : {};
    return [{ interfaceName, labels, addresses }];
  });
}

function servicesFrom({ config, view }: Known): ServiceRoutes {
  return serviceRoutes({
    node: config.node,
    nodeLabels: view.nodeLabels(),
    configurations: view.bgpConfigurations(),
    services: view.services(),
    slices: view.slices(),
  });
}
