import { beforeEach, describe, expect, it } from 'vitest';
import { dataplaneFrom, rulesetFrom, speakerFrom } from '../../../agent/desired.ts';
import type { AgentInputs } from '../../../agent/inputs/agent-inputs.ts';
import { type ClusterObjects, clusterOf, NO_OBJECTS } from '../../../agent/inputs/cluster.ts';
import { readConfig } from '../../../agent/inputs/environment.ts';
import { type Settings, settingsFor } from '../../../agent/inputs/settings.ts';
import type { LearnedRoute } from '../../../bgp/learned-routes.ts';
import { felixConfigurationKind } from '../../../datastore/schema/cluster.ts';
import { nodeAnnotations, nodeKind, podKind } from '../../../datastore/schema/core.ts';
import { blockAffinityKind } from '../../../datastore/schema/ipam.ts';
import type { Tunnelling } from '../../../ipip/tunnelling.ts';
import { DEFAULT_PROTOCOLS } from '../../../model/route-protocols.ts';
import { blockOf, podHolder } from '../../helpers/blocks.ts';
import { configuration, endpoint, peer } from '../../helpers/calc-input.ts';
import { ipPool } from '../../helpers/objects.ts';

const node = (name: string, address: string) =>
  nodeKind.schema.parse({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, annotations: { 'projectcalico.org/IPv4Address': `${address}/24` } },
  });
const felix = (spec: object) =>
  felixConfigurationKind.schema.parse({
    apiVersion: 'projectcalico.org/v3',
    kind: 'FelixConfiguration',
    metadata: { name: 'default' },
    spec,
  });
const web = { ...endpoint('cali1', '10.244.0.0'), namespace: 'default', pod: 'web' };
const withoutTunnels: Pick<Tunnelling, 'desired' | 'encapsulate'> = {
  desired: () => [],
  encapsulate: () => (_, gateways) => ({ gateways }),
};
const numbers = { protocols: DEFAULT_PROTOCOLS, former: { local: [], bgp: [] } };
const affinity = blockAffinityKind.schema.parse({
  apiVersion: 'projectcalico.org/v3',
  kind: 'BlockAffinity',
  metadata: { name: 'n1-10-244-0-0-26' },
  spec: { state: 'confirmed', node: 'n1', cidr: '10.244.0.0/26' },
});
const nothing = { guard: [], whole: [], nat: [] };

let objects: ClusterObjects;
let environment: Record<string, string>;
let labels: Record<string, string>;
let more: Partial<AgentInputs>;
beforeEach(() => {
  objects = {
    ...NO_OBJECTS,
    Node: [node('n1', '192.0.2.1'), node('n2', '192.0.2.2')],
    IPPool: [ipPool('10.244.0.0/16')],
  };
  [environment, labels, more] = [{}, {}, {}];
});

/** Returns the inputs of n1, which has a block with the pod `web`. */
function inputs(): AgentInputs {
  const pod = podKind.schema.parse({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'default', labels },
  });
  return {
    config: readConfig({ NODENAME: 'n1', ...environment }),
    cluster: clusterOf(objects, 'n1', {
      pod: (namespace, name) => (namespace === 'default' && name === 'web' ? pod : undefined),
      namespace: () => undefined,
    }),
    endpoints: [web],
    reflectors: [],
    isMeshHeld: false,
    api: 'kubernetes.default',
    unusableFilters: [],
    host: undefined,
    blocks: [
      blockOf('n1', '10.244.0.0/26', podHolder('web')),
      blockOf('n2', '10.244.2.0/26', podHolder('b', 'n2')),
    ],
    affinities: [affinity],
    ...more,
  };
}
const settings = (): Settings =>
  settingsFor(inputs().config, [...objects.FelixConfiguration], [...objects.BGPConfiguration]);
const dataplane = (...learned: LearnedRoute[]) =>
  dataplaneFrom(
    inputs(),
    settings(),
    withoutTunnels as Tunnelling,
    { routes: learned, isComplete: true },
    numbers,
    nothing,
  );
const destinations = (...learned: LearnedRoute[]) =>
  dataplane(...learned).routes.map(({ destination }) => destination);
const ruleset = () => rulesetFrom(inputs(), settings(), withoutTunnels as Tunnelling).whole.join('\n');
const via = (prefix: string): LearnedRoute => ({ prefix, nextHops: ['192.0.2.2'] });

describe('the dataplane', () => {
  it('has routes to its pods, and those that it learned by BGP', () => {
    expect(destinations(via('10.244.2.0/26'))).toEqual(
      expect.arrayContaining(['10.244.0.0/32', '10.244.2.0/26']),
    );
    expect(destinations()).not.toContain('10.244.2.0/26');
  });

  it('takes routes to other nodes from the datastore when BGP is off, and from BGP only those outside the pools', () => {
    environment = { CALICO_NETWORKING_BACKEND: 'vxlan' };
    const all = destinations(via('10.244.7.0/26'), via('203.0.113.0/24'));
    expect(all).toEqual(expect.arrayContaining(['10.244.2.0/26', '203.0.113.0/24']));
    expect(all).not.toContain('10.244.7.0/26');
  });

  it('owns routes in the ranges of pools and services', () => {
    objects = {
      ...objects,
      BGPConfiguration: [configuration({ serviceClusterIPs: [{ cidr: '10.96.0.0/12' }] })],
    };
    expect(dataplane().ownership.ranges).toEqual(['10.244.0.0/16', '10.96.0.0/12']);
  });

  it('lets pods send from other addresses only if FelixConfiguration allows it', () => {
    more = { endpoints: [{ ...web, allowedSourcePrefixes: ['203.0.113.0/24'] }] };
    const allowed = () =>
      dataplane().endpoints.flatMap(({ allowedSourcePrefixes = [] }) => allowedSourcePrefixes);
    expect(allowed()).toEqual([]);
    expect(ruleset()).not.toContain('203.0.113.0/24');
    objects = { ...objects, FelixConfiguration: [felix({ workloadSourceSpoofing: 'Any' })] };
    expect(allowed()).toEqual(['203.0.113.0/24']);
    expect(ruleset()).toContain('203.0.113.0/24');
  });
});

describe('the speaker', () => {
  const desired = () => speakerFrom(inputs(), () => ({ state: 'missing', reason: 'no Secret' }));

  it('peers with the other nodes, and originates its own blocks', () => {
    expect(desired().peers.map(({ address }) => address)).toEqual(['192.0.2.2']);
    expect(desired().originated.map(({ prefix }) => prefix)).toEqual(['10.244.0.0/26']);
  });

  it('does not originate blocks of a pool that is not exported', () => {
    objects = { ...objects, IPPool: [ipPool('10.244.0.0/16', { disableBGPExport: true })] };
    expect(desired().originated).toEqual([]);
  });

  it('originates service ranges beside its blocks', () => {
    objects = {
      ...objects,
      BGPConfiguration: [configuration({ serviceClusterIPs: [{ cidr: '10.96.0.0/12' }] })],
    };
    expect(desired().originated.map(({ prefix }) => prefix)).toEqual(['10.244.0.0/26', '10.96.0.0/12']);
  });

  it('peers with the pods that a BGPPeer selects by the labels of the pod', () => {
    objects = {
      ...objects,
      BGPConfiguration: [configuration({ nodeToNodeMeshEnabled: false })],
      BGPPeer: [peer('pods', { localWorkloadSelector: "app == 'router'", asNumber: 65_001 })],
    };
    expect(desired().peers).toEqual([]);
    labels = { app: 'router' };
    expect(desired().peers.map(({ address }) => address)).toEqual(['10.244.0.0']);
    more = { endpoints: [{ ...web, pod: 'unknown' }] };
    expect(desired().peers).toEqual([]);
  });
});

describe('the nftables table', () => {
  it('demands TTL 255 from nodes on the link, unless TTL security of the mesh is off', () => {
    objects = {
      ...objects,
      Node: [node('n1', '192.0.2.1'), node('n2', '192.0.2.2')].map((one) => ({
        ...one,
        metadata: {
          ...one.metadata,
          annotations: { ...one.metadata.annotations, [nodeAnnotations.bgpTTLSecurity]: '1' },
        },
      })),
    };
    const secure = ruleset();
    environment = { CALI_MESH_TTL_SECURITY: 'Disabled' };
    expect(secure).toContain('255');
    expect(ruleset()).not.toBe(secure);
  });
});
