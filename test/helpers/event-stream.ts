/** A seeded random stream of API events: valid, invalid, half-updated, deleted and huge ones, and unreadable lines. */

import { readObject } from '../../datastore/read-object.ts';
import { bgpConfigurationKind } from '../../datastore/schema/bgp-configuration.ts';
import { bgpFilterKind } from '../../datastore/schema/bgp-filter.ts';
import { bgpPeerKind } from '../../datastore/schema/bgp-peer.ts';
import { felixConfigurationKind } from '../../datastore/schema/cluster.ts';
import { endpointSliceKind, nodeKind, podKind, serviceKind } from '../../datastore/schema/core.ts';
import { ipPoolKind } from '../../datastore/schema/ip-pool.ts';
import { blockAffinityKind, ipamBlockKind, ipReservationKind } from '../../datastore/schema/ipam.ts';
import { apiVersionOf, type ResourceDefinition } from '../../datastore/schema/resource.ts';
import { newBlock } from '../../ipam/block.ts';
import type { HostileApi } from './hostile-api.ts';

type Values = Record<string, unknown>;
type Random = () => number;

/** Returns a generator of numbers from 0 (inclusive) to 1 (exclusive): mulberry32. */
export function randomBy(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

interface Source {
  readonly definition: ResourceDefinition;
  readonly names: readonly string[];
  readonly namespace?: string;
  /** A valid object without its metadata's name. */
  readonly make: (index: number, random: Random) => Values;
}

const pick = <T>(random: Random, values: readonly T[]): T => values[Math.floor(random() * values.length)]!;
const numbered = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

const sources: readonly Source[] = [
  {
    definition: nodeKind,
    names: numbered('other', 30),
    make: (i, random) => ({
      metadata: {
        labels: { rack: pick(random, ['a', 'b']) },
        annotations: {
          'projectcalico.org/IPv4Address': `10.0.1.${i + 1}/16`,
          ...(random() < 0.2 ? { 'projectcalico.org/ASNumber': String(64000 + i) } : {}),
        },
      },
    }),
  },
  {
    definition: ipPoolKind,
    names: numbered('pool', 6),
    make: (i, random) => ({
      spec: {
        cidr: `10.${100 + i}.0.0/16`,
        natOutgoing: random() < 0.5,
        nodeSelector: 'all()',
        disabled: random() < 0.2,
      },
    }),
  },
  {
    definition: bgpConfigurationKind,
    names: ['default', 'node.n1'],
    make: (i, random) => ({
      spec:
        i === 1
          ? { logSeverityScreen: 'Warning' }
          : {
              asNumber: pick(random, [64512, 65001]),
              nodeToNodeMeshEnabled: random() < 0.8,
              serviceClusterIPs: [{ cidr: '10.96.0.0/12' }],
              logSeverityScreen: 'Warning',
            },
    }),
  },
  {
    definition: bgpPeerKind,
    names: numbered('peer', 12),
    make: (i, random) => ({
      spec: {
        peerIP: `10.0.2.${i + 1}`,
        asNumber: 64900 + i,
        keepaliveTime: '20s',
        ...(random() < 0.3 ? { nodeSelector: "rack == 'a'" } : {}),
        ...(random() < 0.5 ? { filters: [`filter${Math.floor(random() * 4)}`] } : {}),
      },
    }),
  },
  {
    definition: bgpFilterKind,
    names: numbered('filter', 4),
    make: (_, random) => ({
      spec: {
        importV4: [{ action: pick(random, ['Accept', 'Reject']), cidr: '10.0.0.0/8', matchOperator: 'In' }],
      },
    }),
  },
  {
    definition: felixConfigurationKind,
    names: ['default'],
    make: (_, random) => ({ spec: { vxlanMTU: pick(random, [1400, 1450]), natPortRange: '1024:65535' } }),
  },
  {
    definition: ipReservationKind,
    names: numbered('reserved', 3),
    make: (i) => ({ spec: { reservedCIDRs: [`10.100.${i}.0/28`] } }),
  },
  {
    definition: ipamBlockKind,
    names: numbered('10-100-', 40).map((name) => `${name}-0-26`),
    make: (i, random) => ({
      spec: newBlock(`10.100.${i}.0/26`, random() < 0.3 ? 'n1' : `other${i % 30}`, 1),
    }),
  },
  {
    definition: blockAffinityKind,
    names: [...numbered('affinity', 20), ...numbered('n1-10-100-', 40).map((name) => `${name}-0-26`)],
    make: (i, random) => ({
      spec: {
        cidr: i < 20 ? `10.101.${i}.0/26` : `10.100.${i - 20}.0/26`,
        node: i < 20 ? `other${i}` : 'n1',
        // As left by allocators of n1 that died half-way: the agent repairs it.
        state: i < 20 ? 'confirmed' : pick(random, ['pending', 'confirmed', 'pendingDeletion']),
        deleted: 'false',
      },
    }),
  },
  {
    definition: serviceKind,
    names: numbered('service', 30),
    namespace: 'default',
    make: (i, random) => ({
      spec: {
        type: 'ClusterIP',
        clusterIP: `10.96.0.${i + 1}`,
        externalTrafficPolicy: pick(random, ['Cluster', 'Local']),
        ...(random() < 0.2 ? { externalIPs: [`192.0.2.${i + 1}`] } : {}),
      },
    }),
  },
  {
    definition: endpointSliceKind,
    names: numbered('slice', 30),
    namespace: 'default',
    make: (i, random) => ({
      metadata: { labels: { 'kubernetes.io/service-name': `service${i}` } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [`10.100.0.${i + 1}`], nodeName: pick(random, ['n1', 'other1']) }],
    }),
  },
  {
    definition: podKind,
    names: numbered('pod', 20),
    namespace: 'default',
    make: (i) => ({ spec: { nodeName: 'n1' }, status: { podIP: `10.100.0.${i + 1}` } }),
  },
];

/** Returns a value of an unexpected type. */
function garbage(random: Random): unknown {
  return pick<() => unknown>(random, [
    () => null,
    () => -1,
    () => 1e99,
    () => '',
    () => true,
    () => [],
    () => ({}),
    () => 'x\n; $(reboot) `id` \u202e \u0000',
    () => '10.0.0.0/33',
    () => 'a'.repeat(3_000),
    () => '('.repeat(900),
    () => JSON.parse('{"__proto__":{"polluted":1},"constructor":7}') as unknown,
    () => [[[[['10.0.0.1']]]]],
  ])();
}

/** Returns a copy with one field replaced by garbage or deleted. Keeps the name, so that it is the same object. */
function spoiled(object: Values, random: Random): Values {
  const copy = structuredClone(object);
  let place = copy;
  for (let depth = 0; depth < 6; depth++) {
    const keys = Object.keys(place).filter(
      (key) => !['kind', 'name', 'namespace', 'resourceVersion'].includes(key),
    );
    if (keys.length === 0) return copy;
    const key = pick(random, keys);
    const value = place[key];
    const isDeeper = typeof value === 'object' && value !== null && random() < 0.8;
    if (isDeeper || key === 'metadata') {
      place = value as Values;
      continue;
    }
    if (random() < 0.3) delete place[key];
    else place[key] = garbage(random);
    return copy;
  }
  return copy;
}

/** Returns lines that are not events of an object of this kind. */
function noise(kind: string, random: Random): (string | Buffer)[] {
  return pick<() => (string | Buffer)[]>(random, [
    () => ['what?\n'],
    () => ['<html>\n502\n</html>\n'],
    () => ['null\n'],
    () => ['{"type":"BOOKMARK","object":{"kind":"X"}}\n'],
    () => ['{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":12}}}\n'],
    () => ['{"type":"ERROR","object":"gone"}\n'],
    () => ['{"type":"ADDED","object":{"kind":"Elephant","metadata":{"name":"pool0"}}}\n'],
    () => [`{"type":"DELETED","object":{"kind":"${kind}","metadata":null}}\n`],
    () => [`{"type":"MODIFIED","object":{"kind":"${kind}","metadata":{"name":["x"]}}}\n`],
    () => [`{"type":"ADDED","object":{"kind":"${kind}","metadata":{"name":7,"__proto__":{"polluted":1}}}}\n`],
    // Writes that split a UTF-8 character.
    () => [
      Buffer.from('{"type":"X","object":"\u20ac'.slice(0, -1)),
      Buffer.from([0xe2]),
      Buffer.from([0x82, 0xac]),
      '"}\n',
    ],
  ])();
}

/** Sends `count` events, then corrects all objects or deletes those that cannot be read. */
export async function runStream(
  api: HostileApi,
  count: number,
  seed: number,
  progress: (events: number) => void,
): Promise<void> {
  const random = randomBy(seed);
  const put = (source: Source, index: number, change: (object: Values) => Values = (object) => object) => {
    const { definition, names, namespace, make } = source;
    const made = make(index, random);
    const metadata = {
      ...(made['metadata'] as object | undefined),
      name: names[index]!,
      uid: `${definition.plural}-${index}`,
      ...(namespace ? { namespace } : {}),
    };
    const object = change({ apiVersion: apiVersionOf(definition), kind: definition.kind, ...made, metadata });
    // The server sets the fields that identify an object.
    const { name, uid } = metadata;
    api.put(definition, {
      ...object,
      metadata: { ...(object['metadata'] as object), name, uid, ...(namespace ? { namespace } : {}) },
    });
  };
  for (let event = 0; event < count; event++) {
    const source = pick(random, sources);
    const index = Math.floor(random() * source.names.length);
    const { definition, names, namespace } = source;
    const dice = random();
    if (dice < 0.6) put(source, index);
    else if (dice < 0.8) put(source, index, (object) => spoiled(object, random));
    else if (dice < 0.93) api.remove(definition, namespace ? `${namespace}/${names[index]}` : names[index]!);
    else if (dice < 0.995)
      put(source, index, (object) => ({
        ...object,
        metadata: {
          ...(object['metadata'] as object),
          resourceVersion: pick<unknown>(random, ['7', 7, '', 'x', String(event)]),
        },
      }));
    else if (dice < 0.9985) await api.send(definition, ...noise(definition.kind, random));
    else if (dice < 0.9995)
      put(source, index, (object) => ({
        ...object,
        metadata: { ...(object['metadata'] as object), annotations: { huge: 'x'.repeat(1_000_000) } },
      }));
    else if (dice < 0.9998)
      await api.send(
        definition,
        `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}\n`,
        'y'.repeat(10_000_000),
        '\n',
      );
    else api.cut(definition);
    if (event % 250 !== 0) continue;
    await api.drained();
    await new Promise((resolve) => setImmediate(resolve));
    if (event % 5_000 === 0) progress(event);
  }
  for (const source of sources)
    for (const [index, name] of source.names.entries()) {
      const { definition, namespace } = source;
      const key = namespace ? `${namespace}/${name}` : name;
      const stored = api.get(definition, key);
      if (!stored) continue;
      // Objects with a bogus resourceVersion are put again too: an agent that missed one would never see the object.
      if (readObject(definition, stored).problem && random() < 0.5) api.remove(definition, key);
      else put(source, index);
    }
  // This pool stays unreadable: both agents must report it.
  api.put(ipPoolKind, {
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPPool',
    metadata: { name: 'never-readable' },
    spec: { cidr: '10.99.0.0/33' },
  });
  await api.drained();
}
