/** Fault A1: text in objects runs as a command. Tries every annotation and every string that an agent reads. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { nodeAnnotations, podAnnotations } from '../../datastore/schema/core.ts';
import type { AnyResource } from '../../datastore/schema/resource.ts';
import { until } from '../helpers/lab.ts';
import { Arena, PATIENCE_MS } from './arena.ts';
import { CANARY, eachString, hostileTexts } from './texts.ts';

const directory = mkdtempSync(path.join(os.tmpdir(), 'cali-canary-'));
const file = path.join(directory, CANARY);

let arena: Arena;
let pids: number[];
const pidsNow = () => Promise.all(arena.nodes.map(async (node) => (await arena.status(node)).pid));
beforeAll(async () => {
  // Tunnels everywhere: their annotations reach ip, bridge and nft.
  arena = await Arena.start(3, '--pods', '1', '--subnets', '2', '--encap', 'vxlan', '--mode', 'always');
  pids = await pidsNow();
});
afterAll(async () => {
  await arena?.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** Expects none of the traces that an injected command would leave. */
async function nothingRan(): Promise<void> {
  expect(readdirSync(directory)).toEqual([]);
  expect(existsSync(`/${CANARY}`)).toBe(false);
  expect(arena.lab.sh('lab', 'ip netns list')).not.toContain(CANARY);
  for (const node of arena.nodes)
    expect(arena.lab.sh(node, 'ip link; ip neigh; ip route; nft list ruleset')).not.toMatch(
      /canary|66:00:00:00:00:01|10\.9\.9\.9/,
    );
  expect(await pidsNow()).toEqual(pids);
}

const good = {
  [nodeAnnotations.ipv4Address]: '172.18.0.70/24',
  [nodeAnnotations.ipv6Address]: 'fd00:172:18::70/64',
  [nodeAnnotations.asNumber]: '64512',
  [nodeAnnotations.routeReflectorClusterID]: '1.1.1.1',
  [nodeAnnotations.ipv4IPIPTunnelAddr]: '10.244.70.1',
  [nodeAnnotations.ipv4VXLANTunnelAddr]: '10.244.70.2',
  [nodeAnnotations.vxlanTunnelMACAddr]: '66:00:00:00:00:70',
  [nodeAnnotations.ipv6VXLANTunnelAddr]: 'fd00:10:244:70::1',
  [nodeAnnotations.vxlanTunnelMACAddrV6]: '66:00:00:00:00:71',
};
const fields = Object.keys(good) as (keyof typeof good)[];

describe('a Node annotation', () => {
  const ghost = (i: number) => `ghost${i}`;
  /** Annotations of ghost `i`: good values that are unique to it, and `text` in one of them. */
  const annotationsOf = (i: number, text?: string) => ({
    ...Object.fromEntries(
      Object.entries(good).map(([key, value]) => [key, value.replaceAll('70', String(71 + i))]),
    ),
    ...(text === undefined ? {} : { [fields[i]!]: text }),
  });
  const block = (i: number): AnyResource => ({
    apiVersion: 'projectcalico.org/v3',
    kind: 'BlockAffinity',
    metadata: { name: `${ghost(i)}-10-244-${71 + i}-0-26` },
    spec: {
      state: 'confirmed',
      node: ghost(i),
      type: 'host',
      cidr: `10.244.${71 + i}.0/26`,
      deleted: 'false',
    },
  });

  afterEach(() => {
    const paths = ['honest', ...fields.map((_, i) => ghost(i))].map((name) => `/api/v1/nodes/${name}`);
    const affinities = fields.map(
      (_, i) => `/apis/projectcalico.org/v3/blockaffinities/${block(i).metadata.name}`,
    );
    arena.request(...[...paths, ...affinities].map((path) => ({ method: 'DELETE', path })));
  });

  it('a Node annotation runs no command on another node and ends no agent', async () => {
    const node = (name: string, annotations: object) => ({
      method: 'POST',
      path: '/api/v1/nodes',
      body: { apiVersion: 'v1', kind: 'Node', metadata: { name, annotations } },
    });
    const honest = (round: number) => ({
      ...good,
      [nodeAnnotations.ipv4VXLANTunnelAddr]: `10.244.70.${10 + round}`,
      [nodeAnnotations.vxlanTunnelMACAddr]: '66:00:00:00:00:70',
    });
    arena.request(
      ...fields.map((_, i) => node(ghost(i), annotationsOf(i))),
      ...fields.map((_, i) => ({
        method: 'POST',
        path: '/apis/projectcalico.org/v3/blockaffinities',
        body: block(i),
      })),
      node('honest', honest(0)),
    );
    for (const [round, index] of [0, 1, 2, 5, 6, 11, 12, 15].entries()) {
      const patches = fields.map((field, i) => ({
        method: 'PATCH',
        path: `/api/v1/nodes/${ghost(i)}`,
        type: 'application/merge-patch+json',
        body: {
          metadata: { annotations: annotationsOf(i, hostileTexts(annotationsOf(i)[field]!, file)[index]) },
        },
      }));
      const last = {
        method: 'PATCH',
        path: '/api/v1/nodes/honest',
        type: 'application/merge-patch+json',
        body: { metadata: { annotations: honest(round + 1) } },
      };
      expect(arena.request(...patches, last).at(-1)!.status).toBe(200);
      // When the round's last change is in every kernel, the agents have processed the others.
      await until(`every kernel has the last change of round ${round}`, PATIENCE_MS, () =>
        arena.nodes.every((name) =>
          arena.lab.sh(name, 'ip neigh show dev vxlan.cali').includes(`10.244.70.${11 + round} `),
        ),
      );
    }
    await nothingRan();
  });

  it('annotations on a node’s own Node run no command there', async () => {
    const session = async () =>
      (await arena.sessions('node1')).find((line) => line.startsWith('172.18.0.12 '));
    for (const text of hostileTexts('172.18.0.12/24', file).slice(0, 4)) {
      const before = await session();
      arena.annotate('node2', Object.fromEntries(fields.map((field) => [field, text])));
      // The session ends, and a new one comes up when node2 has published its addresses again.
      await until('node1 has a new session with node2', PATIENCE_MS, async () => {
        const now = await session();
        return now !== before && now?.includes(' Established ') === true;
      });
      await nothingRan();
    }
    // Write access to a Node can cut that node off for a moment, but no more. Its agent publishes the true values.
    arena.annotate('node2', Object.fromEntries(fields.map((field) => [field, null])));
    await arena.lab.ask({ do: 'node stop', name: 'node2' });
    await arena.lab.ask({ do: 'node start', name: 'node2' });
    await arena.worksAsBefore();
    pids = await pidsNow();
  });
});

describe('annotations on a Pod and on its Namespace', () => {
  it('annotations on a Pod run no command: ADD assigns an address or explains its refusal', async () => {
    let n = 0;
    for (const key of [podAnnotations.ipv4pools, podAnnotations.ipv6pools, podAnnotations.ipAddrs])
      for (const text of hostileTexts('["10.244.0.0/16"]', file).slice(0, 14)) {
        const name = `hostile-${n++}`;
        // The text alone, or as an element of the list.
        const annotations = { [key]: n % 2 === 0 ? text : JSON.stringify([text]) };
        const added = await arena.lab.ask({ do: 'pod add', node: 'node1', name, annotations }).catch(String);
        if (typeof added === 'string')
          expect(added).toMatch(/^[^\p{Cc}\p{Cf}]*(IPPool|ip(v4pools|v6pools|Addrs))[^\p{Cc}\p{Cf}]*$/u);
        else await arena.lab.ask({ do: 'pod delete', name });
      }
    await nothingRan();
  });

  it('annotations on a Namespace run no command', async () => {
    const [pools4, pools6] = [podAnnotations.ipv4pools, podAnnotations.ipv6pools];
    for (const text of hostileTexts('["10.244.0.0/16"]', file).slice(0, 6)) {
      arena.patch('/api/v1/namespaces/default', {
        metadata: { annotations: { [pools4]: text, [pools6]: JSON.stringify([text]) } },
      });
      const added = await arena.lab.ask({ do: 'pod add', node: 'node1', name: 'tenant' }).catch(String);
      if (typeof added === 'string')
        expect(added).toMatch(/^[^\p{Cc}\p{Cf}]*(IPPool|ipv[46]pools)[^\p{Cc}\p{Cf}]*$/u);
      else await arena.lab.ask({ do: 'pod delete', name: 'tenant' });
    }
    arena.patch('/api/v1/namespaces/default', {
      metadata: { annotations: { [pools4]: null, [pools6]: null } },
    });
    await nothingRan();
  });
});

describe('a string in any other object', () => {
  const api = 'projectcalico.org/v3';
  const calico = (kind: string, plural: string, name: string, spec: object) => ({
    plural: `${'projectcalico.org'}/${plural}`,
    object: { apiVersion: api, kind, metadata: { name }, spec },
  });
  /** Objects with every string that an agent reads. */
  const objects: {
    plural: string;
    object: AnyResource & { spec?: object; status?: object; data?: object };
  }[] = [
    calico('IPPool', 'ippools', 'pool', {
      cidr: '10.88.0.0/16',
      vxlanMode: 'Always',
      nodeSelector: 'all()',
      namespaceSelector: 'all()',
      assignmentMode: 'Automatic',
      allowedUses: ['Workload'],
      natOutgoing: true,
    }),
    calico('BGPPeer', 'bgppeers', 'peer', {
      node: 'node1',
      peerIP: '172.18.0.99',
      reachableBy: '172.18.0.1',
      password: { secretKeyRef: { name: 'bgp', key: 'a' } },
      filters: ['filter'],
      maxRestartTime: '30s',
      holdTime: '90s',
      shutdownMessage: 'so long',
      asNumber: 65000,
    }),
    calico('BGPPeer', 'bgppeers', 'selecting', { nodeSelector: 'has(zone)', peerSelector: 'has(zone)' }),
    calico('BGPFilter', 'bgpfilters', 'filter', {
      exportV4: [
        {
          cidr: '10.0.0.0/8',
          matchOperator: 'In',
          interface: 'eth0',
          communities: { values: ['1:1'] },
          action: 'Accept',
          operations: [{ addCommunity: { value: '1:2' } }],
        },
      ],
    }),
    calico('BGPConfiguration', 'bgpconfigurations', 'node.node9', {
      logSeverityScreen: 'Info',
      ignoredInterfaces: ['eth9'],
      localWorkloadPeeringIPV4: '169.254.9.9',
      localWorkloadPeeringIPV6: 'fe80::99',
      bmpStation: '172.18.0.98:5000',
      holdTime: '90s',
      routerID: '172.18.0.11',
    }),
    calico('FelixConfiguration', 'felixconfigurations', 'node.node1', {
      mtuIfacePattern: 'eth.*',
      natOutgoingAddress: '172.18.0.11',
      natPortRange: '1000:2000',
      iptablesNATOutgoingInterfaceFilter: 'eth0',
      externalNodesList: ['172.18.0.97'],
      logSeverityScreen: 'Info',
      routeRefreshInterval: '90s',
      healthHost: 'localhost',
      prometheusMetricsHost: 'localhost',
      featureDetectOverride: 'a=true',
      routeSource: 'BGP',
    }),
    calico('IPReservation', 'ipreservations', 'reserved', { reservedCIDRs: ['10.244.250.0/24'] }),
    calico('BlockAffinity', 'blockaffinities', 'node9-10-244-251-0-26', {
      state: 'confirmed',
      node: 'node1',
      type: 'host',
      cidr: '10.244.251.0/26',
      deleted: 'false',
    }),
    calico('IPAMBlock', 'ipamblocks', '10-244-251-0-26', {
      cidr: '10.244.251.0/26',
      affinity: 'host:node1',
      allocations: [0, ...Array.from({ length: 63 }, () => null)],
      unallocated: Array.from({ length: 63 }, (_, i) => i + 1),
      attributes: [{ handle_id: 'a.b', secondary: { node: 'node1', pod: 'p', namespace: 'n' } }],
      sequenceNumber: 1,
      sequenceNumberForAllocation: {},
      deleted: false,
    }),
    {
      plural: '/services/default',
      object: {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'service' },
        spec: {
          type: 'LoadBalancer',
          clusterIP: '10.96.0.5',
          clusterIPs: ['10.96.0.5'],
          externalIPs: ['192.0.2.5'],
          externalTrafficPolicy: 'Local',
          loadBalancerIP: '192.0.2.6',
        },
        status: { loadBalancer: { ingress: [{ ip: '192.0.2.7' }] } },
      },
    },
    {
      plural: 'discovery.k8s.io/endpointslices/default',
      object: {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { name: 'service-1', labels: { 'kubernetes.io/service-name': 'service' } },
        addressType: 'IPv4',
        endpoints: [{ addresses: ['10.244.0.9'], nodeName: 'node1', conditions: { ready: true } }],
        ports: [{ name: 'p', port: 80 }],
      } as AnyResource,
    },
    {
      plural: '/nodes',
      object: {
        apiVersion: 'v1',
        kind: 'Node',
        metadata: { name: 'named', labels: { zone: 'a' } },
        spec: { podCIDR: '10.77.0.0/24', podCIDRs: ['10.77.0.0/24'] },
        status: { addresses: [{ type: 'InternalIP', address: '172.18.0.96' }] },
      },
    },
    {
      plural: '/secrets/kube-system',
      object: {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'bgp' },
        data: { a: 'c2VjcmV0' },
      } as AnyResource,
    },
  ];

  it('no string in any object runs a command or ends an agent, even if it bypasses validation', async () => {
    const texts = hostileTexts('10.99.0.1', file);
    const keys = new Set<string>();
    for (const index of [0, 4, 6, 10, 12, 15]) {
      const text = texts[index]!;
      const planted: Record<string, AnyResource> = {};
      for (const { plural, object } of objects) {
        const { apiVersion, kind, metadata, ...rest } = object;
        for (const [i, [, changed]] of eachString(rest, text).entries()) {
          const isNamed = /^(node\.|10-244)/.test(metadata.name);
          const name = isNamed ? metadata.name : `${metadata.name}-${i}`;
          const namespace = plural.split('/')[2];
          planted[`${plural}/${name}`] = {
            apiVersion,
            kind,
            metadata: { ...metadata, name, uid: `uid-${kind}-${i}`, ...(namespace ? { namespace } : {}) },
            ...(changed as object),
          } as AnyResource;
        }
      }
      // As a name too, because names become file names and keys.
      planted[`/nodes/${CANARY}-${index}`] = {
        apiVersion: 'v1',
        kind: 'Node',
        metadata: { name: text, uid: `uid-name-${index}`, annotations: { ...good } },
      };
      for (const key of Object.keys(planted)) keys.add(key);
      await arena.plant(planted);
      // Agents dial the readable peers in vain; nothing else may be affected.
      expect(await arena.lab.unreachable(PATIENCE_MS)).toEqual([]);
      await nothingRan();
    }
    await arena.plant(Object.fromEntries([...keys].map((key) => [key, null])));
    await arena.worksAsBefore();
  });
});

it('pods, nodes and sessions work as before the attacks', () => arena.worksAsBefore());
