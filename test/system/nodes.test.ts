import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestLab, until } from '../helpers/lab.ts';

describe('nodes and pods come and go', () => {
  let lab: TestLab;
  beforeAll(async () => {
    lab = await TestLab.start(['--nodes', '3', '--pods', '2']);
  });
  afterAll(() => lab?.stop());

  it('a new node is reachable within two seconds of its agent’s start', async () => {
    await lab.ask({ do: 'node add', name: 'node4' });
    await lab.ask({ do: 'pod add', node: 'node4', name: 'node4-a' });
    const { startedAt } = lab.status('node4');
    await until('every pair', 2000, async () => (await lab.unreachable(200)).length === 0);
    expect(Date.now() - startedAt).toBeLessThan(2500);
    for (const node of ['node1', 'node2', 'node3', 'node4']) {
      expect(lab.status(node).bgp.peers.filter(({ state }) => state === 'Established')).toHaveLength(6);
    }
  });

  it('a deleted node’s routes are gone everywhere within a second', async () => {
    const { pods } = (await lab.ask({ do: 'show' })) as { pods: { name: string; addresses: string[] }[] };
    const [v4] = pods.find(({ name }) => name === 'node4-a')!.addresses;
    const has = (node: string) =>
      lab.sh(node, 'ip route show; ip -6 route show').match(/via (172\.18\.0\.14|fd00:172:18::14)/g)
        ?.length ?? 0;
    expect(has('node1')).toBe(2);
    await lab.ask({ do: 'node delete', name: 'node4' });
    await until('its routes are gone', 1000, () =>
      ['node1', 'node2', 'node3'].every((node) => has(node) === 0),
    );
    expect(lab.exec('node1', 'ip', 'route', 'get', v4!).stdout).not.toContain('172.18.0.14');
    expect(lab.status('node1').bgp.peers).toHaveLength(4);
  });

  it('mesh to explicit peers and back: both sides dial, one session stays, and no pod loses another for long', async () => {
    const documents = (isMesh: boolean) =>
      `apiVersion: projectcalico.org/v3\nkind: BGPConfiguration\nmetadata: { name: default }\nspec: { nodeToNodeMeshEnabled: ${isMesh} }\n`;
    const peer =
      'apiVersion: projectcalico.org/v3\nkind: BGPPeer\nmetadata: { name: everybody }\nspec: { nodeSelector: all(), peerSelector: all() }\n';
    const peers = () => ['node1', 'node2', 'node3'].flatMap((node) => lab.status(node).bgp.peers);
    lab.pipe('node1', `${documents(false)}---\n${peer}`, 'calictl', 'apply', '-f', '-');
    await until('explicit sessions are up', 10_000, () =>
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

  it('a pod gets the very addresses that it asks for, and one that is taken is refused with the holder', async () => {
    const annotations = { 'cni.projectcalico.org/ipAddrs': '["10.244.77.5"]' };
    const pod = (await lab.ask({ do: 'pod add', node: 'node1', name: 'fixed', annotations })) as {
      addresses: string[];
    };
    expect(pod.addresses).toEqual(['10.244.77.5']);
    await until('every pair', 5000, async () => (await lab.unreachable(500)).length === 0);

    await expect(lab.ask({ do: 'pod add', node: 'node2', name: 'thief', annotations })).rejects.toThrow(
      /10\.244\.77\.5 is taken by k8s-pod-network\.lab-fixed/,
    );
  });

  it('a borrowed address is announced as a host route and works', async () => {
    // node2 asks for an address inside node1's block.
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
    await until('the host route is gone', 1000, () => lab.sh('node1', `ip route show ${address}`) === '');
  });

  it('pods that are deleted leave no interface, route, address or handle behind', async () => {
    const handles = () => lab.sh('node1', 'calictl get ipamhandles');
    const state = () => lab.sh('node3', 'ip -br link show; ip route show; ip neigh show nud permanent');
    const before = [handles(), state()];
    const names = Array.from({ length: 10 }, (_, i) => `burst-${i}`);
    await Promise.all(names.map((name) => lab.ask({ do: 'pod add', node: 'node3', name })));
    expect(await lab.unreachable()).toEqual([]);
    await Promise.all(names.map((name) => lab.ask({ do: 'pod delete', name })));
    await until('everything is as before', 2000, () => state() === before[1]);
    expect(handles()).toBe(before[0]);
  });
});
