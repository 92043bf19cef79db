/** Calculates the desired state of the speaker and the dataplane from the agent's state, with felix/calc. */
import type { LearnedRoute } from '../bgp/learned-routes.ts';
import type { DesiredSpeaker } from '../bgp/peer/config.ts';
import { hasSocketOptions } from '../bgp/transport/socket-options.ts';
import { acceptDefaultRoute, normalPriority } from '../felix/calc/bgp/cluster.ts';
import { isOnLink } from '../felix/calc/bgp/on-link.ts';
import type { Secrets } from '../felix/calc/bgp/password.ts';
import { reflectorsFrom } from '../felix/calc/bgp/reflectors.ts';
import { type ServiceRoutes, serviceRoutes } from '../felix/calc/bgp/services.ts';
import { desiredSpeaker, reachablePeers } from '../felix/calc/bgp/speaker.ts';
import { type Workload, workloadLabels, workloadPeeringAddresses } from '../felix/calc/bgp/workloads.ts';
import { guardHosts, guardPeers, ownBgpPorts } from '../felix/calc/guard/hosts.ts';
import { knownRoutes, outsidePools, vxlanRoutes } from '../felix/calc/known-routes.ts';
import { exportedPrefixes, type OwnPrefixes, ownPrefixes } from '../felix/calc/own-prefixes.ts';
import { desiredRoutes } from '../felix/calc/routes.ts';
import { type Ruleset, ruleset } from '../felix/calc/ruleset.ts';
import type { DesiredDataplane } from '../felix/dataplane/desired.ts';
import { poolsWithPods } from '../ipam/pool-use.ts';
import { endRoutes } from '../ipip/desired.ts';
import type { Tunnelling, TunnellingInput } from '../ipip/tunnelling.ts';
import { formatAddress, parseAddress } from '../lib/cidr.ts';
import { type NodeInfo, nodeInfo } from '../model/node.ts';
import type { Ownership } from '../model/route-ownership.ts';
import type { AgentInputs } from './inputs/agent-inputs.ts';
import type { Cluster } from './inputs/cluster.ts';
import type { Settings } from './inputs/settings.ts';

/** Calculates the sessions and routes of the speaker. */
export function speakerFrom(inputs: AgentInputs, secrets: Secrets): DesiredSpeaker {
  const { config, cluster } = inputs;
  const own = exportedPrefixes(prefixesFrom(inputs), cluster.pools());
  return desiredSpeaker({
    node: config.node,
    nodes: cluster.nodes().map(nodeInfo),
    reflectors: inputs.reflectors,
    isMeshHeld: inputs.isMeshHeld,
    configurations: cluster.bgpConfigurations(),
    peers: cluster.bgpPeers(),
    pools: cluster.pools(),
    originated: [...own, ...servicesFrom(inputs).announced].map((prefix) => ({ prefix })),
    filters: cluster.bgpFilters(),
    unusableFilters: inputs.unusableFilters,
    ...(inputs.host ? { host: inputs.host } : {}),
    blocks: inputs.blocks.map(({ spec }) => spec.cidr),
    arePodCidrs: config.ipam === 'host-local',
    apiServers: [...new Set([...apiServersFrom(cluster), ...addressOf(inputs.api)])].sort(),
    secrets,
    canDemandTtl: config.meshTtlSecurity && hasSocketOptions(),
    workloads: workloadsFrom(inputs),
    holdTimeSeconds: config.holdTimeSeconds,
    restartTimeSeconds: config.restartTimeSeconds,
  });
}

/** Additional input of the dataplane. */
export interface Learned {
  readonly routes: readonly LearnedRoute[];
  readonly isComplete: boolean;
}

/** Calculates what the kernel should have. */
export function dataplaneFrom(
  inputs: AgentInputs,
  { isWithoutBgp, filter }: Settings,
  tunnelling: Tunnelling,
  learned: Learned,
  numbers: Pick<Ownership, 'protocols' | 'former'>,
  ruleset: Ruleset,
): DesiredDataplane {
  const { config, cluster, endpoints } = inputs;
  const pools = cluster.pools();
  const configurations = cluster.bgpConfigurations();
  const self = { name: config.node, labels: cluster.nodeLabels() };
  const tunnels = tunnelling.desired();
  const nodes = cluster.nodes().map(nodeInfo);
  const hasVxlan = config.backend !== 'none' && pools.some(({ spec }) => spec.vxlanMode !== 'Never');
  const datastore = isWithoutBgp || hasVxlan ? knownRoutes(config.node, nodes, inputs.blocks) : [];
  const own = nodes.find(({ name }) => name === config.node);
  const routes = desiredRoutes({
    endpoints,
    blocks: prefixesFrom(inputs).blocks,
    learned: isWithoutBgp ? outsidePools(learned.routes, pools) : learned.routes,
    known: isWithoutBgp ? datastore : [],
    fallback: isWithoutBgp ? [] : vxlanRoutes(own, datastore, pools),
    encapsulate: tunnelling.encapsulate(),
    refused: servicesFrom(inputs).refused,
    reachable: reachablePeers(cluster.bgpPeers(), self.name, self.labels),
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
    addresses: workloadPeeringAddresses(self, cluster.bgpPeers(), configurations, workloadsFrom(inputs)),
    isLearnedComplete: learned.isComplete,
    ownership: {
      ...numbers,
      ranges: [...pools.map(({ spec }) => spec.cidr), ...servicesFrom(inputs).refused],
    },
    mayReplaceDefault: acceptDefaultRoute(config.node, configurations) === 'Always',
  };
}

/** Calculates our nftables table. */
export function rulesetFrom(inputs: AgentInputs, settings: Settings, tunnelling: Tunnelling): Ruleset {
  const { config, cluster, reflectors, endpoints } = inputs;
  const nodes = cluster.nodes();
  const configurations = cluster.bgpConfigurations();
  const self = { name: config.node, labels: cluster.nodeLabels() };
  const others = nodes.map(nodeInfo).filter(({ name }) => name !== config.node);
  return ruleset({
    hosts: guardHosts(nodes, reflectors, configurations),
    others: others.flatMap(({ addresses }) => Object.values(addresses).map(({ address }) => address)),
    neighbours: config.meshTtlSecurity ? neighboursOf(config.node, nodes.map(nodeInfo)) : [],
    ownBgpPorts: ownBgpPorts(config.node, reflectors, configurations),
    peers: guardPeers(self, cluster.bgpPeers(), configurations, workloadsFrom(inputs)),
    spoofers: endpoints.flatMap(({ interfaceName, allowedSourcePrefixes = [] }) =>
      allowedSourcePrefixes.length > 0 ? [{ interfaceName, prefixes: allowedSourcePrefixes }] : [],
    ),
    pools: cluster.pools(),
    tunnels: tunnelling.desired(),
    settings: settings.filter,
  });
}

/** Returns the input of the tunnels. `own` is what the cluster does not show about this node. */
export function tunnellingFrom(
  cluster: Cluster,
  settings: Settings,
  own: Pick<TunnellingInput, 'self' | 'families' | 'isUncertain'>,
): TunnellingInput {
  const pools = poolsWithPods(cluster.pools(), cluster.blocks());
  return { ...own, nodes: cluster.nodes().map(nodeInfo), pools, settings };
}

/** Runs all calculations for these inputs without applying the results. Throws what the first failing one throws. */
export function rehearse(
  inputs: AgentInputs,
  settings: Settings,
  tunnels: TunnellingInput,
  modules: {
    tunnelling: Tunnelling;
    secrets: Secrets;
    numbers: Pick<Ownership, 'protocols' | 'former'>;
  },
): void {
  const { cluster, config } = inputs;
  const { tunnelling, secrets, numbers } = modules;
  tunnelling.rehearse(tunnels);
  reflectorsFrom(cluster.services(), cluster.slices(), config.reflectorNamespaces);
  speakerFrom(inputs, secrets);
  const rules = rulesetFrom(inputs, settings, tunnelling);
  dataplaneFrom(inputs, settings, tunnelling, { routes: [], isComplete: true }, numbers, rules);
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
function apiServersFrom(cluster: Cluster): string[] {
  return cluster
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

function prefixesFrom({ config, blocks, affinities, endpoints }: AgentInputs): OwnPrefixes {
  return ownPrefixes(config.node, blocks, affinities, endpoints);
}

/** Returns the pods of this node, for selection by BGPPeers. */
function workloadsFrom({ cluster, endpoints }: AgentInputs): Workload[] {
  return endpoints.flatMap(({ namespace, pod, addresses, interfaceName }) => {
    if (!namespace || !pod) return [];
    const object = cluster.pod(namespace, pod);
    const inherited = cluster.namespace(namespace)?.metadata.labels ?? {};
    const labels = object ? workloadLabels(object, namespace, inherited) : {};
    return [{ interfaceName, labels, addresses }];
  });
}

function servicesFrom({ config, cluster }: AgentInputs): ServiceRoutes {
  return serviceRoutes({
    node: config.node,
    nodeLabels: cluster.nodeLabels(),
    configurations: cluster.bgpConfigurations(),
    services: cluster.services(),
    slices: cluster.slices(),
  });
}
