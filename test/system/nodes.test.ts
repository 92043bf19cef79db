import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestLab, until } from '../helpers/lab.ts';

describe('nodes and pods that are added and removed', () => {
  let lab: TestLab;
  beforeAll(async () => {
    lab = await TestLab.start(['--nodes', '3', '--pods', '2']);
  });
  afterAll(() => lab?.stop());

  it('a new node is reachable soon after its agent starts', async () => {
    await lab.ask({ do: 'node add', name: 'node4' });
    await lab.ask({ do: 'pod add', node: 'node4', name: 'node4-a' });
    await until('every pair is reachable', 2000, async () => (await lab.unreachable(200)).length === 0);
    for (const node of ['node1', 'node2', 'node3', 'node4']) {
      expect(lab.status(node).bgp.peers.filter(({ state }) => state === 'Established')).toHaveLength(6);
    }
  });

  it('a deleted node’s routes are gone from every node within a second', async () => {
    const { pods } = (await lab.ask({ do: 'show' })) as { pods: { name: string; addresses: string[] }[] };
    const [v4] = pods.find(({ name }) => name === 'node4-a')!.addresses;
    const has = (node: string) =>
      lab.sh(node, 'ip route show; ip -6 route show').match(/via (172\.18\.0\.14|fd00:172:18::14)/g)
        ?.length ?? 0;
    expect(has('node1')).toBe(2);
    await lab.ask({ do: 'node delete', name: 'node4' });
    await until('the other nodes have no routes to node4', 1000, () =>
      ['node1', 'node2', 'node3'].every((node) => has(node) === 0),
    );
    expect(lab.exec('node1', 'ip', 'route', 'get', v4!).stdout).not.toContain('172.18.0.14');
    expect(lab.status('node1').bgp.peers).toHaveLength(4);
  });

  it('a deleted node’s blocks and addresses are released after a grace period, and ipam check is clean', async () => {
    const blocks = () => lab.sh('node1', 'calictl get ipamblocks -o yaml');
    expect(blocks()).toContain('host:node4');
    await until('node4 has no blocks', 60_000, () => !blocks().includes('node4'));
    const check = lab.exec('node1', 'calictl', 'ipam', 'check');
    expect(check).toMatchObject({ code: 0, stdout: expect.stringContaining('found 0 problems') });
    expect(lab.sh('node1', 'calictl get ippool default-ipv4-ippool -o yaml')).toContain('reason: PoolReady');
  });

  it('a deleted pool stays while a pod has one of its addresses, and its pods lose no packet', async () => {
    lab.apply('IPPool', 'going', { cidr: '10.245.0.0/24', blockSize: 28 });
    const annotations = { 'cni.projectcalico.org/ipv4pools': '["going"]' };
    await lab.ask({ do: 'pod add', node: 'node2', name: 'guest', annotations });
    const said = lab.sh('node1', 'calictl delete ippool going 2>&1');
    expect(said).toContain('IPPool going is being deleted: 1 address is in use');
    expect(await lab.unreachable()).toEqual([]);
    await until('the pool is Terminating', 30_000, () =>
      lab.sh('node1', 'calictl get ippool going -o yaml').includes('reason: Terminating'),
    );
    await expect(lab.ask({ do: 'pod add', node: 'node3', name: 'late', annotations })).rejects.toThrow(
      /requested IPPool going is being deleted/,
    );
    expect(await lab.unreachable()).toEqual([]);
    await lab.ask({ do: 'pod delete', name: 'guest' });
    await until('the pool is gone', 30_000, () => !lab.sh('node1', 'calictl get ippools').includes('going'));
    expect(lab.exec('node1', 'calictl', 'ipam', 'check').code).toBe(0);
  });

  it('an agent lists each kind once at its start, and the controllers watch each kind once', () => {
    const count = (text: string, verb: string, resource: string) =>
      Number(
        new RegExp(
          `^cali_api_requests_total\\{verb="${verb}",resource="${resource}",code="200"\\} (\\d+)$`,
          'm',
        ).exec(text)?.[1] ?? 0,
      );
    const read = (place: string, from: string) =>
      lab.sh(place, `node -e "${`require('http').get(${from}, (r) => r.pipe(process.stdout))`}"`);
    const agent = read('node3', `{ socketPath: '/run/cali-lab/node3/cali.sock', path: '/metrics' }`);
    const kinds = ['nodes', 'pods', 'ippools.projectcalico.org', 'ipamblocks.projectcalico.org'];
    for (const kind of kinds) expect({ kind, lists: count(agent, 'list', kind) }).toEqual({ kind, lists: 1 });
    const controllers = read('lab', `'http://127.0.0.1:9094/metrics'`);
    for (const kind of kinds.slice(0, 1)) expect(count(controllers, 'watch', kind)).toBe(1);
  });

  it('a change from mesh to explicit peers and back leaves one session per pair and all pods reachable', async () => {
    const documents = (isMesh: boolean) =>
      `apiVersion: projectcalico.org/v3\nkind: BGPConfiguration\nmetadata: { name: default }\nspec: { nodeToNodeMeshEnabled: ${isMesh} }\n`;
    const peer =
      'apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata: { name: everybody }\nspec: { nodeSelector: all(), peerSelector: all() }\n';
    const peers = () => ['node1', 'node2', 'node3'].flatMap((node) => lab.status(node).bgp.peers);
    lab.pipe('node1', `${documents(false)}---\n${peer}`, 'calictl', 'apply', '-f', '-');
    await until('the explicit sessions are up', 10_000, () =>
      peers().every(({ config, state }) => config.peerType === 'node specific' && state === 'Established'),
    );
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const before = peers().map(({ flaps, since }) => ({ flaps, since }));
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(peers().map(({ flaps, since }) => ({ flaps, since }))).toEqual(before);
    expect(await lab.unreachable()).toEqual([]);
    lab.pipe('node1', documents(true), 'calictl', 'apply', '-f', '-');
    expect(lab.exec('node1', 'calictl', 'delete', 'bgppeer', 'everybody').code).toBe(0);
    await until('the mesh is back', 10_000, () =>
      peers().every(
        ({ config, state }) => config.peerType === 'node-to-node mesh' && state === 'Established',
      ),
    );
    expect(await lab.unreachable()).toEqual([]);
  });

  it('a Node that is deleted and recreated gets its data again, and its pods keep their addresses', async () => {
    const pods = async () => {
      const { pods: all } = (await lab.ask({ do: 'show' })) as {
        pods: { name: string; addresses: string[] }[];
      };
      return all.map(({ name, addresses }) => `${name} ${addresses.join(' ')}`).sort();
    };
    const annotations = () =>
      lab.sh('node1', 'calictl get node node2 -o yaml').match(/ipv4Address: .*|ipv6Address: .*/g);
    const before = [await pods(), annotations(), lab.sh('node1', 'ip route show proto 162')];
    expect(annotations()).toHaveLength(2);
    const script = `
      const base = /server: "?([^\\s"]+)/.exec(require('fs').readFileSync(process.env.KUBECONFIG, 'utf8'))[1];
      const nodes = base + '/api/v1/nodes';
      (async () => {
        const { metadata: { name, labels }, spec } = await (await fetch(nodes + '/node2')).json();
        await fetch(nodes + '/node2', { method: 'DELETE' });
        const body = JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name, labels }, spec });
        const headers = { 'content-type': 'application/json' };
        console.log((await fetch(nodes, { method: 'POST', headers, body })).status);
      })();`;
    expect(lab.pipe('lab', script, 'node', '-').stdout).toBe('201\n');
    await until('the agent of node2 noticed it', 10_000, () =>
      lab
        .sh('lab', 'cat /run/cali-lab/log/node2.log')
        .includes('this Node was deleted and recreated: restarting'),
    );
    await until('the Node has its addresses again', 20_000, () => annotations()?.length === 2);
    await until('every pair is reachable', 20_000, async () => (await lab.unreachable(200)).length === 0);
    expect([await pods(), annotations(), lab.sh('node1', 'ip route show proto 162')]).toEqual(before);
    expect(lab.status('node2').bgp.peers.every(({ state }) => state === 'Established')).toBe(true);
  });

  it('a pod gets the addresses that it requests, and the refusal of a taken one names its holder', async () => {
    const annotations = { 'cni.projectcalico.org/ipAddrs': '["10.244.77.5"]' };
    const pod = (await lab.ask({ do: 'pod add', node: 'node1', name: 'fixed', annotations })) as {
      addresses: string[];
    };
    expect(pod.addresses).toEqual(['10.244.77.5']);
    await until('every pair is reachable', 5000, async () => (await lab.unreachable(500)).length === 0);

    await expect(lab.ask({ do: 'pod add', node: 'node2', name: 'thief', annotations })).rejects.toThrow(
      /10\.244\.77\.5 is taken by k8s-pod-network\.lab-fixed/,
    );
  });

  it('a borrowed address is advertised as a host route and is reachable', async () => {
    // A pod on node2 requests an address inside node1's block.
    const block = lab.sh('node1', 'ip route show type blackhole').trim().split(/\s+/)[1]!;
    const address = `${block.split('/')[0]!.replace(/\d+$/, '')}${Number(/(\d+)\/26$/.exec(block)![1]) + 60}`;
    await lab.ask({
      do: 'pod add',
      node: 'node2',
      name: 'borrower',
      annotations: { 'cni.projectcalico.org/ipAddrs': `["${address}"]` },
    });
    await until('node1 has the host route', 2000, () =>
      lab.sh('node1', `ip route show ${address}`).includes('via 172.18.0.12'),
    );
    expect(await lab.unreachable()).toEqual([]);
    await lab.ask({ do: 'pod delete', name: 'borrower' });
    await until(
      'node1 no longer has the host route',
      1000,
      () => lab.sh('node1', `ip route show ${address}`) === '',
    );
  });

  it('deleted pods leave no interface, route, address or handle behind', async () => {
    const handles = () => lab.sh('node1', 'calictl get ipamhandles');
    const state = () => lab.sh('node3', 'ip -br link show; ip route show; ip neigh show nud permanent');
    const before = state();
    const names = Array.from({ length: 10 }, (_, i) => `burst-${i}`);
    await Promise.all(names.map((name) => lab.ask({ do: 'pod add', node: 'node3', name })));
    expect(await lab.unreachable()).toEqual([]);
    await Promise.all(names.map((name) => lab.ask({ do: 'pod delete', name })));
    await until(
      'handles, interfaces, routes and neighbour entries are as before',
      30_000,
      // Handles follow a second after DEL.
      () => state() === before && !handles().includes('burst-'),
    );
  });
});
