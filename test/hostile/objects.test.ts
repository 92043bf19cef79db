/** Faults A3, A8, A9, B1, B2, B4, B8 and B9: objects that a tenant writes, and mistakes in an operator's objects. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { AnyResource } from '../../datastore/schema/resource.ts';
import { until } from '../helpers/lab.ts';
import { Arena, PATIENCE_MS, STRANGER } from './arena.ts';
import { calico } from './calico-object.ts';
import { hijack } from './hijack.ts';

const API = '/apis/projectcalico.org/v3';

let arena: Arena;
beforeAll(async () => {
  arena = await Arena.start(2, '--pods', '1');
  arena.addStranger();
});
afterAll(() => arena?.stop());

const make = (path: string, body: object) => arena.request({ method: 'POST', path, body })[0]!;
const drop = (...paths: readonly string[]) =>
  arena.request(...paths.map((path) => ({ method: 'DELETE', path })));
const shown = (node = 'node1') => arena.lab.exec(node, 'calictl', 'node', 'status').stdout;

describe('a tenant who creates Services and Pods', () => {
  // A pod that should not exist must not affect the next test.
  afterEach(() => arena.lab.ask({ do: 'pod delete', name: 'greedy' }).catch(() => undefined));

  it('a tenant’s Service does not become a route reflector', async () => {
    const labels = { 'route-reflector': 'true' };
    // As an operator selects the cluster's own reflectors.
    arena.lab.apply('BGPPeer', 'reflectors', {
      nodeSelector: 'all()',
      peerSelector: "route-reflector == 'true'",
    });
    const evil = arena.speak('stranger', {
      host: STRANGER[4],
      port: 179,
      listen: true,
      ...hijack(STRANGER[4], STRANGER[4]),
    });
    await evil.until('listening');
    await arena.worksAsBefore();
    await arena.unharmed(async () => {
      const metadata = {
        name: 'evil',
        namespace: 'default',
        labels,
        annotations: {
          'projectcalico.org/RouteReflectorClusterID': '6.6.6.6',
          'projectcalico.org/ASNumber': '64512',
        },
      };
      expect(
        make('/api/v1/namespaces/default/services', {
          apiVersion: 'v1',
          kind: 'Service',
          metadata,
          spec: { clusterIP: 'None' },
        }).status,
      ).toBe(201);
      const slice = {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: {
          name: 'evil-1',
          namespace: 'default',
          labels: { ...labels, 'kubernetes.io/service-name': 'evil' },
        },
        addressType: 'IPv4',
        endpoints: [{ addresses: [STRANGER[4]], nodeName: 'node2', conditions: { ready: true } }],
        ports: [{ name: 'bgp', port: 179 }],
      };
      expect(make('/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', slice).status).toBe(201);
      // When a pod added later is reachable, the agents have seen these objects.
      await arena.lab.ask({ do: 'pod add', node: 'node1', name: 'later' });
      expect(await arena.lab.unreachable(PATIENCE_MS)).toEqual([]);
      await arena.lab.ask({ do: 'pod delete', name: 'later' });
      await sleep(2000);
    });
    expect(evil.has('OPEN', 'Established')).toBe(false);
    drop(
      '/api/v1/namespaces/default/services/evil',
      '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/evil-1',
      `${API}/bgppeers/reflectors`,
    );
    await evil.stop();
  });

  /** Returns the blocks with their allocations, and the handles. */
  const allocations = () =>
    arena
      .request({ method: 'GET', path: `${API}/ipamblocks` }, { method: 'GET', path: `${API}/ipamhandles` })
      .map(({ body }) =>
        (body!['items'] as { metadata: { name: string }; spec: { allocations?: unknown[] } }[])
          .map(({ metadata, spec }) => `${metadata.name} ${JSON.stringify(spec.allocations)}`)
          .sort(),
      );
  const state = () => [allocations(), arena.kernel('node1')];

  it('ADD refuses ipAddrs that are too many, outside the pools or not addresses, and claims no block', async () => {
    const before = state();
    const refused = {
      'forty addresses': JSON.stringify(Array.from({ length: 40 }, (_, i) => `10.244.${100 + i}.5`)),
      'two addresses in one family': '["10.244.100.5", "10.244.101.5"]',
      'one address in two notations': '["fd00:10:244::77:5", "FD00:10:244:0::77:5"]',
      'an address outside the pools': '["192.0.2.1"]',
      'the address of a node': '["172.18.0.12"]',
      'the unspecified address': '["0.0.0.0"]',
      loopback: '["127.0.0.1"]',
      'the gateway of all pods': '["169.254.1.1"]',
      'a network': '["10.244.100.0/24"]',
      'an IPv4-mapped address': '["::ffff:10.244.100.5"]',
      'JSON that is not a list': '{"0": "10.244.100.5", "length": 1}',
    };
    for (const [what, text] of Object.entries(refused)) {
      const annotations = { 'cni.projectcalico.org/ipAddrs': text };
      const added = await arena.lab
        .ask({ do: 'pod add', node: 'node1', name: 'greedy', annotations })
        .catch(String);
      expect(added, what).toMatch(/pod greedy on node1: \S/);
    }
    expect(state()).toEqual(before);
  });

  it('ipAddrs claim no more blocks than maxBlocksPerHost allows', async () => {
    arena.lab.apply('IPAMConfiguration', 'default', { maxBlocksPerHost: 1 });
    const before = state();
    await expect(
      arena.lab.ask({
        do: 'pod add',
        node: 'node1',
        name: 'greedy',
        annotations: { 'cni.projectcalico.org/ipAddrs': '["10.244.120.5"]' },
      }),
    ).rejects.toThrow(/per host block limit.*maxBlocksPerHost/s);
    expect(state()).toEqual(before);
    drop(`${API}/ipamconfigurations/default`);
  });

  it('ADD refuses ipAddrs that an IPReservation reserves', async () => {
    arena.lab.apply('IPReservation', 'held', { reservedCIDRs: ['10.244.130.0/24'] });
    await arena.lab.ask({ do: 'pod add', node: 'node1', name: 'witness' });
    await arena.lab.ask({ do: 'pod delete', name: 'witness' });
    await expect(
      arena.lab.ask({
        do: 'pod add',
        node: 'node1',
        name: 'greedy',
        annotations: { 'cni.projectcalico.org/ipAddrs': '["10.244.130.9"]' },
      }),
    ).rejects.toThrow(/reserv/i);
    drop(`${API}/ipreservations/held`);
  });

  it('an address in upper case does not make an agent replace routes', async () => {
    const annotations = { 'cni.projectcalico.org/ipAddrs': '["FD00:10:244:0000::77:ABCD"]' };
    const pod = (await arena.lab.ask({ do: 'pod add', node: 'node1', name: 'loud', annotations })) as {
      addresses: string[];
    };
    expect(pod.addresses).toEqual(['fd00:10:244::77:abcd']);
    expect(await arena.lab.unreachable(PATIENCE_MS)).toEqual([]);
    const monitors = arena.nodes.map((node) =>
      arena.lab.follow(node, 'ip', '-6', 'monitor', 'route', 'neigh'),
    );
    // Adds and deletes a pod to make the agent check the kernel again.
    for (let round = 0; round < 3; round++) {
      await arena.lab.ask({ do: 'pod add', node: 'node1', name: 'other' });
      await sleep(500);
      await arena.lab.ask({ do: 'pod delete', name: 'other' });
    }
    const changes = (await Promise.all(monitors.map((monitor) => monitor.stop()))).flat();
    expect(changes.filter((line) => line.startsWith('Deleted') && line.includes('77:abcd'))).toEqual([]);
    expect(changes.filter((line) => line.includes('77:abcd') && line.includes(' proto '))).toEqual([]);
    await arena.lab.ask({ do: 'pod delete', name: 'loud' });
    // The pod had a block to itself, which node1 releases and withdraws. The next test compares routes.
    await until('every node has removed its route to the deleted pod’s block', PATIENCE_MS, () =>
      arena.nodes.every((node) => !arena.kernel(node).some((line) => line.includes('::77:abc'))),
    );
  });
});

describe('an operator who makes a mistake', () => {
  const secret = (name: string, value: string) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: 'kube-system' },
    data: { key: Buffer.from(value).toString('base64') },
  });
  const password = (name: string) => ({ secretKeyRef: { name, key: 'key' } });
  /** Expects that no agent restarts, by comparing PIDs. */
  async function survives(mistake: () => unknown): Promise<void> {
    const pids = () => Promise.all(arena.nodes.map(async (node) => (await arena.status(node)).pid));
    const before = await pids();
    await mistake();
    expect(await pids()).toEqual(before);
  }

  it.each([81, 70_000])(
    'a BGP password of %i octets ends no agent and no session, and is reported',
    async (length) => {
      await survives(() =>
        arena.unharmed(async () => {
          make('/api/v1/namespaces/kube-system/secrets', secret('long', 'x'.repeat(length)));
          arena.lab.apply('BGPConfiguration', 'default', { nodeMeshPassword: password('long') });
          await until('the status reports the password', PATIENCE_MS, () => /password/i.test(shown()));
          await sleep(1000);
          drop(`${API}/bgpconfigurations/default`, '/api/v1/namespaces/kube-system/secrets/long');
          await until(
            'the status no longer reports the password',
            PATIENCE_MS,
            () => !/password/i.test(shown()),
          );
        }),
      );
    },
  );

  it('a password that is set while an agent connects to an IPv6 peer ends no agent', () =>
    survives(() =>
      arena.unharmed(async () => {
        // No host has this address: the connection stays in SYN-SENT.
        arena.lab.apply('BGPPeer', 'late', {
          peerIP: 'fd00:172:18::dead',
          asNumber: 65001,
          password: password('late'),
        });
        await sleep(500);
        for (const value of ['first', 'second', 'y'.repeat(100)]) {
          make('/api/v1/namespaces/kube-system/secrets', secret('late', value));
          await sleep(500);
          drop('/api/v1/namespaces/kube-system/secrets/late');
          await sleep(200);
        }
        drop(`${API}/bgppeers/late`);
        await until('every agent has removed the peer', PATIENCE_MS, async () =>
          (await Promise.all(arena.nodes.map((node) => arena.sessions(node))))
            .flat()
            .every((line) => !line.includes('dead')),
        );
      }),
    ));

  it('a selector of 20,000 parentheses, or of inherited property names, ends no agent and selects nothing', () =>
    survives(() =>
      arena.unharmed(async () => {
        const spec = (selector: string) => ({
          peerIP: '172.18.0.77',
          asNumber: 65001,
          nodeSelector: selector,
        });
        await arena.plant({
          'projectcalico.org/bgppeers/deep': calico(
            'BGPPeer',
            'deep',
            spec(`${'('.repeat(20_000)}all()${')'.repeat(20_000)}`),
          ),
          'projectcalico.org/bgppeers/not': calico('BGPPeer', 'not', spec(`${'!'.repeat(20_000)}all()`)),
          'projectcalico.org/bgppeers/proto': calico(
            'BGPPeer',
            'proto',
            spec('has(constructor) || has(toString) || has(__proto__)'),
          ),
        });
        for (const name of ['deep', 'not'])
          await until(`the status reports BGPPeer ${name}`, PATIENCE_MS, () =>
            shown().includes(`BGPPeer ${name}`),
          );
        for (const node of arena.nodes)
          expect((await arena.sessions(node)).filter((line) => line.includes('172.18.0.77'))).toEqual([]);
        await arena.plant(
          Object.fromEntries(
            ['deep', 'not', 'proto'].map((name) => [`projectcalico.org/bgppeers/${name}`, null]),
          ),
        );
      }),
    ));

  it('an IPPool that cannot be read is reported by name, ends no agent, and does not keep one from restarting', async () => {
    await arena.plant({
      'projectcalico.org/ippools/wrong': calico('IPPool', 'wrong', { cidr: '10.99.0.0/33' }),
      'projectcalico.org/ippools/shapeless': calico('IPPool', 'shapeless', { cidr: { not: 'a text' } }),
      'projectcalico.org/ippools/empty': {
        apiVersion: 'projectcalico.org/v3',
        kind: 'IPPool',
        metadata: { name: 'empty' },
      },
    });
    await survives(async () => {
      for (const name of ['wrong', 'shapeless', 'empty'])
        await until(`the status reports IPPool ${name}`, PATIENCE_MS, () => shown().includes(name));
      await arena.worksAsBefore();
    });
    await arena.lab.ask({ do: 'node stop', name: 'node1' });
    await arena.lab.ask({ do: 'node start', name: 'node1' });
    await arena.worksAsBefore();
    expect(arena.lab.exec('node1', 'calictl', 'get', 'ippools').stdout).toContain('default-ipv4-ippool');
    await arena.plant({
      'projectcalico.org/ippools/wrong': null,
      'projectcalico.org/ippools/shapeless': null,
      'projectcalico.org/ippools/empty': null,
    });
    await until(
      'the status no longer reports the IPPools',
      PATIENCE_MS,
      () => !shown().includes('shapeless'),
    );
  });

  it('a bad field in BGPConfiguration default leaves routes, sessions and the AS number in force', async () => {
    const good = { asNumber: 64512, serviceExternalIPs: [{ cidr: '203.0.113.0/24' }] };
    arena.lab.apply('BGPConfiguration', 'default', good);
    const has = () => arena.lab.sh('node1', 'calictl bgp routes').includes('203.0.113.0/24');
    await until('node1 advertises the range of Service addresses', PATIENCE_MS, has);
    await arena.worksAsBefore();
    await survives(() =>
      arena.unharmed(async () => {
        await arena.plant({
          'projectcalico.org/bgpconfigurations/default': calico('BGPConfiguration', 'default', {
            ...good,
            holdTime: 'for ever',
            listenPort: -1,
          }),
        });
        await until('the status reports BGPConfiguration', PATIENCE_MS, () =>
          /BGPConfiguration/.test(shown()),
        );
        expect(has()).toBe(true);
      }),
    );
    // After a restart too, the readable fields are in force.
    await arena.plant({
      'projectcalico.org/bgpconfigurations/default': calico('BGPConfiguration', 'default', {
        ...good,
        holdTime: 'for ever',
      }),
    });
    await arena.lab.ask({ do: 'node stop', name: 'node1' });
    await arena.lab.ask({ do: 'node start', name: 'node1' });
    await until('node1 advertises the range of Service addresses after a restart', PATIENCE_MS, has);
    expect(shown()).toMatch(/BGPConfiguration default.*holdTime/);
    await arena.worksAsBefore();
    await arena.plant({
      'projectcalico.org/bgpconfigurations/default': calico('BGPConfiguration', 'default', good),
    });
    await until(
      'the status no longer reports BGPConfiguration',
      PATIENCE_MS,
      () => !/BGPConfiguration/.test(shown()),
    );
    drop(`${API}/bgpconfigurations/default`);
  });

  it('a malformed object of any kind ends no agent and no session', () =>
    survives(() =>
      arena.unharmed(async () => {
        const shapes: unknown[] = [null, 'text', 7, [], { spec: null }, { spec: [] }, { spec: 'text' }];
        const kinds = {
          'projectcalico.org/ippools': 'IPPool',
          'projectcalico.org/bgppeers': 'BGPPeer',
          'projectcalico.org/bgpfilters': 'BGPFilter',
          'projectcalico.org/felixconfigurations': 'FelixConfiguration',
          'projectcalico.org/blockaffinities': 'BlockAffinity',
          'projectcalico.org/ipamblocks': 'IPAMBlock',
          'projectcalico.org/ipreservations': 'IPReservation',
          'projectcalico.org/bgpconfigurations': 'BGPConfiguration',
          '/nodes': 'Node',
          '/services/default': 'Service',
          'discovery.k8s.io/endpointslices/default': 'EndpointSlice',
        };
        const versionOf = (plural: string) => {
          if (plural.startsWith('/')) return 'v1';
          return plural.startsWith('discovery') ? 'discovery.k8s.io/v1' : 'projectcalico.org/v3';
        };
        const planted: Record<string, AnyResource> = {};
        for (const [plural, kind] of Object.entries(kinds))
          for (const [i, shape] of shapes.entries())
            planted[`${plural}/shape-${i}`] = {
              apiVersion: versionOf(plural),
              kind,
              metadata: {
                name: `shape-${i}`,
                uid: `shape-${kind}-${i}`,
                ...(plural.endsWith('/default') ? { namespace: 'default' } : {}),
              },
              ...(kind === 'EndpointSlice' ? { addressType: 'IPv4', endpoints: shape, ports: shape } : {}),
              ...(typeof shape === 'object' && shape && !Array.isArray(shape) ? shape : { spec: shape }),
            } as AnyResource;
        await arena.plant(planted);
        for (const kind of Object.values(kinds).filter((kind) => !/Felix|Node|Service|Slice/.test(kind)))
          await until(`the status reports ${kind}`, PATIENCE_MS, () => shown().includes(`${kind} shape-`));
        await arena.worksAsBefore();
        await arena.plant(Object.fromEntries(Object.keys(planted).map((key) => [key, null])));
        await arena.worksAsBefore();
      }),
    ));
});

it('pods, nodes and sessions work as before the attacks', () => arena.worksAsBefore());
