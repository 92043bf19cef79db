import { dataplaneFrom, rulesetFrom, speakerFrom } from '../../agent/desired.ts';
import type { AgentInputs } from '../../agent/inputs/agent-inputs.ts';
import { readConfig } from '../../agent/inputs/environment.ts';
import { settingsFor } from '../../agent/inputs/settings.ts';
import type { View } from '../../agent/inputs/view.ts';
import type { DesiredSpeaker } from '../../bgp/peer/config.ts';
import { readObject } from '../../datastore/read-object.ts';
import { registry } from '../../datastore/registry.ts';
import { nodeAnnotations, podAnnotations, type Secret, secretValue } from '../../datastore/schema/core.ts';
import type { AnyResource, ResourceDefinition } from '../../datastore/schema/resource.ts';
import { reflectorsFrom } from '../../felix/calc/bgp/reflectors.ts';
import { knownRoutes } from '../../felix/calc/known-routes.ts';
import { podCidrBlocks } from '../../felix/calc/pod-cidr-blocks.ts';
import type { Ruleset } from '../../felix/calc/ruleset.ts';
import { addresses } from '../../felix/dataplane/addresses.ts';
import { LinkObjects } from '../../felix/dataplane/link-objects.ts';
import { neighbours } from '../../felix/dataplane/neighbours.ts';
import { Routes } from '../../felix/dataplane/routes.ts';
import { Tunnels } from '../../felix/dataplane/tunnels.ts';
import { newBlock } from '../../ipam/block.ts';
import { wantedTunnels } from '../../ipip/choice.ts';
import { desiredTunnels } from '../../ipip/desired.ts';
import { encapsulation, encapsulationWarnings } from '../../ipip/encapsulation.ts';
import type { Tunnelling } from '../../ipip/tunnelling.ts';
import type { KernelState } from '../../kernel/port.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import { nodeInfo, nodeProblems } from '../../model/node.ts';
import { DEFAULT_PROTOCOLS } from '../../model/route-protocols.ts';
import { noKernel } from './part-world.ts';
import { Reads } from './recorded-reads.ts';

const v3 = 'projectcalico.org/v3';
const annotated = (keys: Readonly<Record<string, string>>, values: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(keys).map(([name, key]) => [key, values[name] ?? '']));

const node = (index: number) => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: {
    name: `n${index}`,
    uid: `u${index}`,
    labels: { zone: 'a' },
    annotations: annotated(nodeAnnotations, {
      ipv4Address: `172.18.0.${index}/24`,
      ipv6Address: `fd00:172::${index}/64`,
      asNumber: '64512',
      ...(index === 3 ? { routeReflectorClusterID: '244.0.0.1' } : {}),
      ipv4IPIPTunnelAddr: `10.244.${index}.1`,
      ipv4VXLANTunnelAddr: `10.245.${index}.1`,
      vxlanTunnelMACAddr: `66:00:00:00:00:0${index}`,
      ipv6VXLANTunnelAddr: `fd00:245::${index}`,
      vxlanTunnelMACAddrV6: `66:00:00:00:00:1${index}`,
    }),
  },
  spec: { podCIDR: `10.9.${index}.0/24`, podCIDRs: [`10.9.${index}.0/24`] },
  status: {
    addresses: [{ type: 'InternalIP', address: `172.18.0.${index}` }],
    conditions: [{ type: 'Ready', status: 'True' }],
  },
});
const calico = (kind: string, name: string, spec: object, more: object = {}) => ({
  apiVersion: v3,
  kind,
  metadata: { name, uid: `uid-${name}` },
  spec,
  ...more,
});
const rule = {
  cidr: '10.0.0.0/8',
  matchOperator: 'In',
  interface: 'eth*',
  communities: { values: ['65000:1'] },
  action: 'Accept',
  operations: [{ addCommunity: { value: '65000:2' } }],
};
const filtered = {
  importV4: [rule],
  exportV4: [rule],
  importV6: [{ action: 'Accept' }],
  exportV6: [{ action: 'Accept' }],
};

/** The objects of the cluster. Tests put hostile text into each of them in turn. */
export const baseObjects: readonly object[] = [
  node(1),
  node(2),
  node(3),
  {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'web',
      namespace: 'shop',
      labels: { app: 'web' },
      annotations: annotated(podAnnotations, { ipAddrs: '["10.244.1.5"]' }),
    },
    spec: { nodeName: 'n1', hostNetwork: false },
    status: { phase: 'Running', podIP: '10.244.1.5', podIPs: [{ ip: '10.244.1.5' }] },
  },
  {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'shop', labels: { team: 'a' }, annotations: annotated(podAnnotations, {}) },
    spec: {},
    status: { phase: 'Active' },
  },
  {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'bgp', namespace: 'kube-system' },
    data: { key: 'c2VjcmV0' },
  },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: 'rr',
      namespace: 'kube-system',
      uid: 'rr-uid',
      labels: { 'route-reflector': 'true' },
      annotations: annotated(nodeAnnotations, { routeReflectorClusterID: '244.0.0.2', asNumber: '64512' }),
    },
    spec: {
      type: 'LoadBalancer',
      clusterIP: '10.96.0.10',
      clusterIPs: ['10.96.0.10'],
      externalIPs: ['203.0.113.7'],
      externalTrafficPolicy: 'Local',
      loadBalancerIP: '198.51.100.7',
    },
    status: { loadBalancer: { ingress: [{ ip: '198.51.100.7' }] } },
  },
  {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: 'rr-1',
      namespace: 'kube-system',
      labels: { 'kubernetes.io/service-name': 'rr' },
      ownerReferences: [{ kind: 'Service', name: 'rr', uid: 'rr-uid' }],
    },
    addressType: 'IPv4',
    ports: [{ name: 'bgp', port: 1790 }],
    endpoints: [{ addresses: ['172.18.0.1'], nodeName: 'n1', conditions: { ready: true } }],
  },
  {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: 'e', namespace: 'shop' },
    involvedObject: { kind: 'Pod' },
  },
  calico('IPPool', 'ipip', {
    cidr: '10.244.0.0/16',
    ipipMode: 'Always',
    natOutgoing: true,
    nodeSelector: 'all()',
  }),
  calico('IPPool', 'vxlan', { cidr: '10.245.0.0/16', vxlanMode: 'Always', natOutgoing: true }),
  calico('IPPool', 'six', { cidr: 'fd00:245::/48', vxlanMode: 'Always', natOutgoing: true }),
  calico('BGPConfiguration', 'default', {
    nodeToNodeMeshEnabled: true,
    asNumber: 64512,
    serviceClusterIPs: [{ cidr: '10.96.0.0/12' }],
    serviceExternalIPs: [{ cidr: '203.0.113.0/24' }],
    serviceLoadBalancerIPs: [{ cidr: '198.51.100.0/24' }],
    communities: [{ name: 'one', value: '65000:1' }],
    prefixAdvertisements: [{ cidr: '10.244.0.0/16', communities: ['one'] }],
    nodeMeshPassword: { secretKeyRef: { name: 'bgp', key: 'key' } },
    localWorkloadPeeringIPV4: '169.254.9.1',
    localWorkloadPeeringIPV6: 'fd00:9::1',
  }),
  calico('BGPPeer', 'router', {
    peerIP: '192.0.2.1',
    asNumber: 65001,
    reachableBy: '172.18.0.254',
    filters: ['filter'],
    password: { secretKeyRef: { name: 'bgp', key: 'key' } },
    shutdownMessage: 'later',
  }),
  calico('BGPPeer', 'reflectors', { nodeSelector: 'all()', peerSelector: "route-reflector == 'true'" }),
  calico('BGPPeer', 'pods', { localWorkloadSelector: "app == 'web'", asNumber: 65002 }),
  calico('BGPFilter', 'filter', filtered),
  calico('FelixConfiguration', 'default', {
    mtuIfacePattern: '^eth.*',
    natOutgoingAddress: '172.18.0.1',
    natPortRange: '1000:2000',
    iptablesNATOutgoingInterfaceFilter: 'eth+',
    natOutgoingExclusions: 'IPPoolsAndHostIPs',
    externalNodesList: ['192.0.2.0/24'],
    featureDetectOverride: 'ChecksumOffloadBroken=true',
    healthHost: 'localhost',
    prometheusMetricsHost: 'localhost',
    routeSource: 'CalicoIPAM',
    logSeverityScreen: 'Info',
    routeRefreshInterval: '90s',
  }),
  calico('ClusterInformation', 'default', { clusterGUID: 'g', clusterType: 'k8s', calicoVersion: 'v' }),
  calico('KubeControllersConfiguration', 'default', {
    logSeverityScreen: 'Info',
    controllers: { node: { reconcilerPeriod: '5m', leakGracePeriod: '15m' } },
  }),
  calico('CalicoNodeStatus', 'n1', { node: 'n1', classes: ['BGP'] }),
  calico('IPAMBlock', '10-244-1-0-26', {
    ...newBlock('10.244.1.0/26', 'n1', 1),
    allocations: [0, ...Array<null>(63).fill(null)],
    unallocated: Array.from({ length: 63 }, (_, i) => i + 1),
    attributes: [{ handle_id: 'h', secondary: { node: 'n2', namespace: 'shop', pod: 'web' } }],
  }),
  calico('IPAMBlock', '10-244-2-0-26', newBlock('10.244.2.0/26', 'n2', 1)),
  calico('BlockAffinity', 'n1-10-244-1-0-26', { state: 'confirmed', node: 'n1', cidr: '10.244.1.0/26' }),
  calico('IPAMHandle', 'h', { handleID: 'h', block: { '10.244.1.0/26': 1 } }),
  calico('IPAMConfiguration', 'default', { strictAffinity: false, maxBlocksPerHost: 5 }),
  calico('IPReservation', 'r', { reservedCIDRs: ['10.244.3.0/26'] }),
];

const endpoint: Endpoint = {
  containerId: 'c1',
  containerInterface: 'eth0',
  network: 'net',
  interfaceName: 'cali0123456789a',
  mac: '02:00:00:00:00:01',
  mtu: 1450,
  addresses: ['10.244.1.5', 'fd00:245::5'],
  netns: '/run/netns/c1',
  namespace: 'shop',
  pod: 'web',
};

const link = (name: string, index: number) => ({ index, name, isUp: true, mac: '', mtu: 1500 });
const kernel: KernelState = {
  routes: [
    {
      destination: '172.18.0.0/24',
      type: 'unicast',
      protocol: 2,
      metric: undefined,
      hops: [{ gateway: undefined, device: 'eth0' }],
    },
    {
      destination: 'fd00:172::/64',
      type: 'unicast',
      protocol: 2,
      metric: 256,
      hops: [{ gateway: undefined, device: 'eth0' }],
    },
  ],
  links: new Map(
    ['eth0', endpoint.interfaceName, 'tunl0', 'vxlan.cali', 'vxlan-v6.cali'].map((name, i) => [
      name,
      link(name, i + 1),
    ]),
  ),
  addresses: [{ device: 'eth0', cidr: '172.18.0.1/24' }],
  neighbours: [],
};

/** Everything that an agent calculates for commands, nftables rules and BGP sessions. */
export interface Outcome {
  readonly ip: readonly string[];
  readonly bridge: readonly string[];
  readonly nft: Ruleset;
  readonly speaker: DesiredSpeaker;
}

/** Returns the definition of a raw object's kind. */
export function kindOf(object: object): ResourceDefinition {
  return registry.find(({ kind }) => kind === (object as { kind: string }).kind)!;
}

const readings = new WeakMap<object, AnyResource[]>();

/** Returns the raw objects that can be read, parsed. */
export function readAll(raw: readonly object[]): AnyResource[] {
  return raw.flatMap((one) => {
    const known = readings.get(one);
    if (known) return known;
    const { object } = readObject(kindOf(one), one);
    const read = object ? [object as unknown as AnyResource] : [];
    readings.set(one, read);
    return read;
  });
}

/** Returns which fields of one of the base objects a calculation reads. */
export function readsOf(index: number, calculation: (raw: readonly object[]) => void): Reads {
  const reads = new Reads();
  const raw = { ...baseObjects[index] };
  readings.set(
    raw,
    readAll([raw]).map((object) => reads.watch(object)),
  );
  calculation(baseObjects.with(index, raw));
  return reads;
}

const secret: Secret = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'bgp', namespace: 'kube-system' },
  data: { key: 'c2VjcmV0', password: 'c2VjcmV0' },
};

/** Runs every calculation of an agent on raw objects. Must not throw, whatever they hold. */
export function calculate(raw: readonly object[]): Outcome {
  const objects = readAll(raw);
  const of = (kind: string) => objects.filter((one) => one.kind === kind);
  const find = (kind: string, name: string, namespace?: string) =>
    of(kind).find(({ metadata }) => metadata.name === name && metadata.namespace === namespace);
  const view = {
    nodes: () => of('Node'),
    pools: () => of('IPPool'),
    bgpConfigurations: () => of('BGPConfiguration'),
    bgpPeers: () => of('BGPPeer'),
    bgpFilters: () => of('BGPFilter'),
    services: () => of('Service'),
    slices: () => of('EndpointSlice'),
    felixConfigurations: () => of('FelixConfiguration'),
    pod: (namespace: string, name: string) => find('Pod', name, namespace),
    namespace: (name: string) => find('Namespace', name),
    nodeLabels: () => find('Node', 'n1')?.metadata.labels ?? {},
  } as unknown as View;
  const config = readConfig({ NODENAME: 'n1' });
  const settings = settingsFor(config, view.felixConfigurations(), view.bgpConfigurations());
  const nodes = view.nodes().map(nodeInfo);
  const self = nodes.find(({ name }) => name === 'n1');
  const kinds = wantedTunnels(view.pools(), [4, 6], settings.tunnels);
  const addressOf = (kind: string) =>
    ({ ipip: '10.244.1.1', vxlan4: '10.245.1.1', vxlan6: 'fd00:245::1' })[kind];
  const input = self && { self, nodes, pools: view.pools(), up: kinds, addressOf };
  const tunnelling = {
    desired: () =>
      self
        ? desiredTunnels({ self, nodes, kinds, addressOf, uplinkMtu: 1500, settings: settings.tunnels })
        : [],
    encapsulate: () =>
      input ? encapsulation(input) : (_: string, gateways: readonly string[]) => ({ gateways }),
  } as unknown as Tunnelling;
  const inputs: AgentInputs = {
    config,
    cluster: view,
    endpoints: [endpoint],
    reflectors: reflectorsFrom(view.services(), view.slices(), config.reflectorNamespaces),
    isMeshHeld: false,
    api: '10.96.0.1',
    unusableFilters: [],
    host: { addresses: ['172.18.0.1'], networks: ['172.18.0.0/24'], defaults: [] },
    blocks: of('IPAMBlock') as never,
    affinities: of('BlockAffinity') as never,
  };
  if (input) encapsulationWarnings(input);
  view.nodes().forEach(nodeProblems);
  podCidrBlocks(view.nodes());
  const nft = rulesetFrom(inputs, settings, tunnelling);
  const learned = [
    { prefix: '10.244.2.0/26', nextHops: ['172.18.0.2'] },
    { prefix: '10.245.2.0/26', nextHops: ['172.18.0.2'] },
    { prefix: 'fd00:245:2::/122', nextHops: ['fd00:172::2'] },
    ...knownRoutes('n1', nodes, inputs.blocks),
  ];
  const numbers = { protocols: DEFAULT_PROTOCOLS, former: { local: [], bgp: [] } };
  const desired = dataplaneFrom(
    inputs,
    settings,
    tunnelling,
    { routes: learned, isComplete: true },
    numbers,
    nft,
  );
  const parts = [
    new Tunnels('n1', noKernel),
    new LinkObjects(addresses, noKernel),
    new Routes(noKernel),
    new LinkObjects(neighbours, noKernel),
  ];
  const context = {
    now: 0,
    settings: { resyncMs: 0, families: [4, 6] as const, hasForwarding: true, problems: [] },
    isUsable: () => true,
  };
  const commands = parts.flatMap((part) => {
    part.setDesired(desired);
    part.observe({ kernel, devices: new Map() });
    part.plan(context);
    return part.pending;
  });
  return {
    ip: commands.filter((command) => !command.startsWith('fdb ')),
    bridge: commands.filter((command) => command.startsWith('fdb ')),
    nft,
    speaker: speakerFrom(inputs, (_, key) => {
      const value = secretValue(secret, key);
      return value === undefined
        ? { state: 'missing', reason: `Secret bgp has no key ${key}` }
        : { state: 'known', value };
    }),
  };
}
