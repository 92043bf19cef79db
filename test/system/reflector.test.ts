/** Moves a cluster from the mesh to route reflectors and back, and checks pods, calictl and the kernel. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestLab, until } from '../helpers/lab.ts';

const v3 = 'apiVersion: projectcalico.org/v3\n';
const mesh = (isMesh: boolean, more = '') =>
  `${v3}kind: BGPConfiguration\nmetadata: { name: default }\nspec: { nodeToNodeMeshEnabled: ${isMesh}${more} }\n`;
const peering = `${v3}kind: BGPPeer\nmetadata: { name: reflectors }\nspec: { nodeSelector: all(), peerSelector: has(rr) }\n`;
const reflector = (name: string, clusterId: string | null) => {
  const labels = { rr: clusterId && 'yes' };
  const annotations = { 'projectcalico.org/RouteReflectorClusterID': clusterId };
  return `kubectl patch node ${name} --type=merge -p '${JSON.stringify({ metadata: { labels, annotations } })}'`;
};

describe('route reflectors', () => {
  let lab: TestLab;
  const nodes = ['node1', 'node2', 'node3', 'node4'];
  beforeAll(async () => {
    lab = await TestLab.start(['--nodes', '4', '--pods', '2']);
  });
  afterAll(() => lab?.stop());

  const peersOf = (node: string) => lab.status(node).bgp.peers;
  const apply = (text: string) => {
    const { code, stderr } = lab.pipe('node1', text, 'calictl', 'apply', '-f', '-');
    expect([code, stderr]).toEqual([0, '']);
  };

  /** Expects host routes of node4's Local Service on node3, via the reflectors, in both families (Calico B-108). */
  const passesOnClusterIPs = async () => {
    const [ip4, ip6] = ['10.96.0.20', 'fd00:10:96::14'];
    const service = `apiVersion: v1\nkind: Service\nmetadata: { name: local, namespace: default }\nspec: { type: NodePort, clusterIP: ${ip4}, clusterIPs: [${ip4}, '${ip6}'], externalTrafficPolicy: Local }\n`;
    const slice = (family: 4 | 6, address: string) =>
      `---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: { name: local-${family}, namespace: default, labels: { kubernetes.io/service-name: local } }\naddressType: IPv${family}\nendpoints: [{ addresses: ['${address}'], nodeName: node4, conditions: { ready: true } }]\n`;
    apply(mesh(false, ", serviceClusterIPs: [{ cidr: 10.96.0.0/16 }, { cidr: 'fd00:10:96::/112' }]"));
    const manifest = `${service}${slice(4, '10.244.0.9')}${slice(6, 'fd00:10:244::9')}`;
    lab.pipe('node1', manifest, 'kubectl', 'apply', '-f', '-');
    for (const [prefix, nextHop] of [
      [`${ip4}/32`, '172.18.0.14'],
      [`${ip6}/128`, 'fd00:172:18::14'],
    ] as const)
      await until(`node3 has ${prefix} from both reflectors`, 20_000, () => {
        const routes: { prefix: string; paths: { attributes: { nextHop: string } }[] }[] = JSON.parse(
          lab.sh('node3', 'calictl bgp routes -o json'),
        );
        const paths = routes.find((one) => one.prefix === prefix)?.paths ?? [];
        return paths.length === 2 && paths.every(({ attributes }) => attributes.nextHop === nextHop);
      });
  };

  it('a change from mesh to two reflectors and back loses no packet, whichever object comes first', async () => {
    await lab.ask({ do: 'flows start', intervalMs: 20 });
    // The annotations come long before the BGPPeer: a reflector without clients stays in the mesh.
    for (const name of ['node1', 'node2']) lab.sh('node1', reflector(name, '1.0.0.1'));
    await new Promise((resolve) => setTimeout(resolve, 3000));
    expect(nodes.map((node) => peersOf(node).length)).toEqual([6, 6, 6, 6]);
    apply(peering);
    apply(mesh(false));
    await until('each client has its sessions with both reflectors', 20_000, () =>
      ['node3', 'node4'].every(
        (node) => peersOf(node).length === 4 && peersOf(node).every(({ state }) => state === 'Established'),
      ),
    );
    await new Promise((resolve) => setTimeout(resolve, 5000));
    const [route] = JSON.parse(lab.sh('node3', 'calictl bgp routes -o json')).filter(
      ({ paths }: { paths: { attributes: { originatorId?: string } }[] }) =>
        paths.some(({ attributes }) => attributes.originatorId === '172.18.0.14'),
    );
    expect(route.paths).toHaveLength(2);
    expect(route.paths[0].attributes).toMatchObject({ nextHop: '172.18.0.14', clusterList: ['1.0.0.1'] });
    await passesOnClusterIPs();
    apply(mesh(true));
    await until('the clients have their mesh sessions', 20_000, () => {
      const peers = peersOf('node3').filter(({ config }) => config.name === 'node4');
      return peers.length === 2 && peers.every(({ state }) => state === 'Established');
    });
    expect(lab.exec('node1', 'calictl', 'delete', 'bgppeer', 'reflectors').code).toBe(0);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    for (const name of ['node1', 'node2']) lab.sh('node1', reflector(name, null));
    await until('the mesh is back', 20_000, () =>
      nodes.every(
        (node) =>
          peersOf(node).length === 6 &&
          peersOf(node).every(
            ({ state, config }) => state === 'Established' && config.peerType === 'node-to-node mesh',
          ),
      ),
    );
    await new Promise((resolve) => setTimeout(resolve, 5000));
    const flows = await lab.flows();
    expect(flows.length).toBeGreaterThan(0);
    expect(flows.filter(({ lost }) => lost > 0)).toEqual([]);
  });

  it('a password from a Secret can change while the sessions are up', async () => {
    const secret = (value: string) =>
      `apiVersion: v1\nkind: Secret\nmetadata: { name: bgp, namespace: kube-system }\nstringData: { mesh: ${value} }\n`;
    const use = ', nodeMeshPassword: { secretKeyRef: { name: bgp, key: mesh } }';
    lab.pipe('node1', secret('first'), 'kubectl', 'apply', '-f', '-');
    apply(mesh(true, use));
    await new Promise((resolve) => setTimeout(resolve, 2000));
    await until('all sessions are up with the password', 20_000, () =>
      nodes.every((node) => peersOf(node).every(({ state }) => state === 'Established')),
    );
    lab.pipe('node1', secret('second'), 'kubectl', 'apply', '-f', '-');
    await new Promise((resolve) => setTimeout(resolve, 3000));
    expect(await lab.unreachable()).toEqual([]);
    expect(nodes.flatMap(peersOf).every(({ state }) => state === 'Established')).toBe(true);
    apply(mesh(true));
  });

  it('calictl explain route follows a route from the pool to the kernel', () => {
    const block = lab.sh('node2', 'ip -4 route show type blackhole').trim().split(/\s+/)[1]!;
    const address = block.replace(/\d+\/26$/, (end) => String(Number(end.split('/')[0]) + 1));
    const text = lab.sh('node1', `calictl explain route ${address}`);
    expect(text).toContain(`Block:    ${block} of node node2`);
    expect(text).toMatch(/\* from 172\.18\.0\.12, next hop 172\.18\.0\.12: best/);
    expect(text).toContain('via 172.18.0.12 dev eth0');
    expect(lab.sh('node1', 'calictl bgp peers')).toMatch(
      /172\.18\.0\.12 +64512 +node-to-node mesh +Established/,
    );
    expect(lab.sh('node1', 'calictl bgp neighbor 172.18.0.12')).toMatch(/graceful restart \(120 s\)/);
    expect(lab.exec('node1', 'calictl', 'bgp', 'neighbor', '192.0.2.1').stderr).toContain(
      'BGP peer 192.0.2.1 does not exist',
    );
  });

  it('a Service’s route is advertised while it has an endpoint, and stays out of the kernel', async () => {
    const service = `apiVersion: v1\nkind: Service\nmetadata: { name: web, namespace: default }\nspec: { type: LoadBalancer, clusterIP: 10.96.0.10, externalTrafficPolicy: Local, externalIPs: [203.0.113.7] }\n`;
    const slice = (ready: boolean) =>
      `apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: { name: web-1, namespace: default, labels: { kubernetes.io/service-name: web } }\naddressType: IPv4\nendpoints: [{ addresses: [10.244.0.9], nodeName: node2, conditions: { ready: ${ready} } }]\n`;
    apply(mesh(true, ', serviceExternalIPs: [{ cidr: 203.0.113.0/24 }]'));
    lab.pipe('node1', `${service}---\n${slice(true)}`, 'kubectl', 'apply', '-f', '-');
    const has = () => lab.sh('node1', 'calictl bgp routes 203.0.113.7').includes('203.0.113.7/32');
    await until('node1 has the Service’s route', 5000, has);
    expect(lab.sh('node1', 'ip route show 203.0.113.7')).toBe('');
    lab.pipe('node1', slice(false), 'kubectl', 'apply', '-f', '-');
    await until('node1 no longer has the Service’s route', 5000, () => !has());
  });
});
