/**
 * A node follows its machine, with flows running: addresses, prefix lengths, uplinks and routes come, go and change.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FlowReport } from '../../lab/prober.ts';
import { TestLab, until } from '../helpers/lab.ts';

/** Generous: the agent waits two seconds before it acts on a change, and this machine may be slow. */
const SOON_MS = 60_000;
/** Longer than the agent waits, so it has acted by then if it acts at all. */
const SETTLED_MS = 4_000;
const IPV4 = '172.18.0.11/24';
const IPV6 = 'fd00:172:18::11/64';
const DEFAULT_ROUTES =
  'ip route replace default via 172.18.0.1; ip -6 route replace default via fd00:172:18::1';

interface Path {
  readonly from: string;
  readonly to: string;
  readonly address: string;
}

describe('a node whose machine changes', () => {
  let lab: TestLab;
  beforeAll(async () => {
    lab = await TestLab.start(['--nodes', '3', '--pods', '1']);
    // When a port goes down, the lab's switch forgets multicast listeners, which breaks IPv6 neighbour discovery.
    lab.sh('lab', 'ip link set lab0 type bridge mcast_snooping 0');
  });
  afterAll(() => lab?.stop());

  /** Returns the address that node1 publishes, with its prefix length. */
  const published = (family: 4 | 6) => {
    const text = lab.sh('node2', 'calictl get node node1 -o json');
    const { spec } = JSON.parse(text) as { spec: { bgp?: Record<string, string> } };
    return spec.bgp?.[`ipv${family}Address`];
  };
  const isPublished = (family: 4 | 6, cidr: string | undefined) =>
    until(`node1 publishes ${cidr} for IPv${family}`, SOON_MS, () => published(family) === cidr);
  const isSettled = () => new Promise((resolve) => setTimeout(resolve, SETTLED_MS));
  const podsReach = (isOfInterest: (path: Path) => boolean = () => true) =>
    until(
      'all pods reach all pods',
      SOON_MS,
      async () => !(await lab.unreachable(1000)).some((path) => isOfInterest(path)),
    );

  /** Returns the paths on which packets were lost during a change. */
  const lossesDuring = async (change: () => Promise<unknown>): Promise<string[]> => {
    await lab.ask({ do: 'flows start', intervalMs: 10 });
    try {
      await change();
    } finally {
      losses = (await lab.flows()).filter(({ lost }) => lost > 0);
    }
    return losses.map((flow) => `${describePath(flow)}: ${flow.lost} of ${flow.sent}`);
  };
  let losses: readonly FlowReport[] = [];
  const describePath = ({ from, to, address }: Path) => `${from} to ${to} at ${address}`;
  const isIpv6 = ({ address }: Path) => address.includes(':');
  const isOfNode1 = ({ from, to }: Path) => `${from} ${to}`.includes('node1');

  /** Returns when each of node1's sessions in a family came up. */
  const sessions = (family: 4 | 6) =>
    lab
      .status('node1')
      .bgp.peers.filter(({ config }) => config.address.includes(':') === (family === 6))
      .map(({ config, state, since }) => `${config.address} ${state} ${since}`);
  const logged = (text: string) => lab.sh('lab', `grep -c '${text}' /run/cali-lab/log/node1.log || true`);

  it('reports no condition at an agent’s first or later start', async () => {
    const conditions = () => lab.sh('lab', 'grep -h NetworkUnavailable /run/cali-lab/log/node*.log || true');
    expect(conditions()).not.toContain('"status":"True"');
    await lab.ask({ do: 'node kill', name: 'node1' });
    await lab.ask({ do: 'node start', name: 'node1' });
    await until('node1’s sessions are back', SOON_MS, () =>
      lab.status('node1').bgp.peers.every(({ state }) => state === 'Established'),
    );
    expect(conditions()).not.toContain('"status":"True"');
    expect(lab.status('node1').notReady).toEqual([]);
  });

  it('reports another Node that claims its address, and so do other nodes', async () => {
    const api = (method: string, name: string, body?: object) => {
      const type = `application/${method === 'PATCH' ? 'merge-patch+json' : 'json'}`;
      const options = { method, headers: { 'content-type': type }, body: JSON.stringify(body) };
      const program = `fetch('http://172.18.0.1:6443/api/v1/nodes${name}', ${JSON.stringify(options)}).then((r) => process.exit(r.ok ? 0 : 1))`;
      expect(lab.exec('lab', process.execPath, '-e', program).code).toBe(0);
    };
    const said = (node: string) => lab.exec(node, 'calictl', 'node', 'status').stdout;
    api('POST', '', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'ghost' } });
    api('PATCH', '/ghost', { metadata: { annotations: { 'projectcalico.org/IPv6Address': IPV6 } } });
    for (const node of ['node1', 'node2'])
      await until(`${node} reports both Nodes`, SOON_MS, () =>
        ['Node node1', 'Node ghost'].every((name) =>
          new RegExp(`${name}: .*fd00:172:18::11 is the address of`).test(said(node)),
        ),
      );
    api('DELETE', '/ghost');
    await until('node1 no longer reports the Node ghost', SOON_MS, () => !said('node1').includes('ghost'));
  });

  it('withdraws IPv6 when its address is removed and restores it when it returns, without affecting IPv4', async () => {
    const before = sessions(4);
    const lossy = await lossesDuring(async () => {
      lab.sh('node1', `ip -6 addr del ${IPV6} dev eth0`);
      await isPublished(6, undefined);
      await until('node2 has no IPv6 session with node1', SOON_MS, () =>
        lab.status('node2').bgp.peers.every(({ config }) => config.address !== 'fd00:172:18::11'),
      );
      // A pod that starts meanwhile gets both addresses and keeps them.
      const pod = await lab.ask({ do: 'pod add', node: 'node1', name: 'meanwhile' });
      expect(pod).toMatchObject({ addresses: [expect.any(String), expect.any(String)] });
      // With duplicate address detection, as on a real machine.
      lab.sh('node1', `ip -6 addr add ${IPV6} dev eth0; ${DEFAULT_ROUTES}`);
      await isPublished(6, IPV6);
      await podsReach();
    });
    expect(lossy.filter((_, i) => !isIpv6(losses[i]!) || !isOfNode1(losses[i]!))).toEqual([]);
    expect(sessions(4)).toEqual(before);
    expect(lab.status('node1').dataplane.problems).toEqual([]);
    await lab.ask({ do: 'pod delete', name: 'meanwhile' });
  });

  it('recovers after a time without IPv4, and so without the API server; IPv6 loses nothing', async () => {
    const lossy = await lossesDuring(async () => {
      lab.sh('node1', `ip addr del ${IPV4} dev eth0`);
      await isSettled();
      lab.sh('node1', `ip addr add ${IPV4} dev eth0; ${DEFAULT_ROUTES}`);
      await podsReach();
    });
    expect(lossy.filter((_, i) => isIpv6(losses[i]!) || !isOfNode1(losses[i]!))).toEqual([]);
  });

  it('recovers when its uplink goes down and up', async () => {
    const lossy = await lossesDuring(async () => {
      // The kernel removes the IPv6 address and all routes; the program that made them restores them.
      lab.sh('node1', 'ip link set eth0 down; sleep 4; ip link set eth0 up');
      lab.sh('node1', `ip -6 addr replace ${IPV6} dev eth0; ${DEFAULT_ROUTES}`);
      await podsReach();
    });
    expect(lossy.filter((_, i) => !isOfNode1(losses[i]!))).toEqual([]);
    await isPublished(4, IPV4);
    await isPublished(6, IPV6);
    expect(logged('File exists')).toBe('0\n');
  });

  it('publishes a new prefix length without losing a packet', async () => {
    const lossy = await lossesDuring(async () => {
      lab.sh('node1', `ip addr add 172.18.0.11/16 dev eth0; ip addr del ${IPV4} dev eth0; ${DEFAULT_ROUTES}`);
      await isPublished(4, '172.18.0.11/16');
      lab.sh('node1', `ip addr add ${IPV4} dev eth0; ip addr del 172.18.0.11/16 dev eth0; ${DEFAULT_ROUTES}`);
      await isPublished(4, IPV4);
    });
    expect(lossy).toEqual([]);
  });

  it('changes nothing for a second address, a renewed lease or another default route', async () => {
    const state = () => [sessions(4), sessions(6), published(4), published(6)];
    const before = state();
    const lossy = await lossesDuring(async () => {
      lab.sh('node1', 'ip addr add 172.18.0.9/24 dev eth0; ip -6 addr add fd00:172:18::9/64 dev eth0 nodad');
      for (const lifetime of ['600', '1200', 'forever']) {
        const lifetimes = `valid_lft ${lifetime} preferred_lft ${lifetime}`;
        lab.sh('node1', `ip addr change ${IPV4} dev eth0 ${lifetimes}`);
        lab.sh('node1', `ip -6 addr change ${IPV6} dev eth0 ${lifetimes}`);
      }
      lab.sh('node1', 'ip route add default via 172.18.0.2 metric 50; ip route del default via 172.18.0.1');
      await isSettled();
      lab.sh('node1', 'ip route del default metric 50; ip addr del 172.18.0.9/24 dev eth0');
      lab.sh('node1', `ip -6 addr del fd00:172:18::9/64 dev eth0; ${DEFAULT_ROUTES}`);
    });
    expect(lossy).toEqual([]);
    expect(state()).toEqual(before);
    // A DHCP client that removes and re-adds the address removes all routes for a moment, and nothing else.
    lab.sh('node1', `ip addr del ${IPV4} dev eth0; ip addr add ${IPV4} dev eth0; ${DEFAULT_ROUTES}`);
    await podsReach();
    expect(state()).toEqual(before);
  });

  it('keeps its address when it moves to a bridge, or when its uplink is renamed', async () => {
    const move = (before: string, device: string) =>
      `ip addr flush dev ${before} scope global; ip addr add ${IPV4} dev ${device}
       ip -6 addr add ${IPV6} dev ${device} nodad; ${DEFAULT_ROUTES}`;
    const routesBy = (device: string) =>
      until(`node1 has routes through ${device}`, SOON_MS, () =>
        lab.sh('node1', 'ip route; ip -6 route').includes(`dev ${device} proto 162`),
      );
    const lossy = await lossesDuring(async () => {
      lab.sh('node1', `ip link add br0 type bridge; ip link set eth0 master br0 up; ip link set br0 up`);
      lab.sh('node1', move('eth0', 'br0'));
      await routesBy('br0');
      await podsReach();
      lab.sh('node1', `ip link del br0; ip link set eth0 down; ip link set eth0 name uplink0 up`);
      lab.sh('node1', move('uplink0', 'uplink0'));
      await routesBy('uplink0');
      await podsReach();
      lab.sh('node1', 'ip link set uplink0 down; ip link set uplink0 name eth0 up');
      lab.sh('node1', move('eth0', 'eth0'));
      await routesBy('eth0');
      await podsReach();
    });
    expect(lossy.filter((_, i) => !isOfNode1(losses[i]!))).toEqual([]);
    expect([published(4), published(6)]).toEqual([IPV4, IPV6]);
  });

  it('moves to a second uplink when the first one fails, and stays there when it returns', async () => {
    const peer = 'ip link add p-second type veth peer name eth1 netns /run/netns/node1';
    const lossy = await lossesDuring(async () => {
      lab.sh('lab', `${peer}; ip link set p-second master lab0 up`);
      lab.sh('node1', 'ip link set eth1 up; ip addr add 172.18.0.21/24 dev eth1');
      lab.sh('node1', 'ip -6 addr add fd00:172:18::21/64 dev eth1 nodad');
      lab.sh('node1', `ip link set eth0 down; ${DEFAULT_ROUTES}`);
      await isPublished(4, '172.18.0.21/24');
      await isPublished(6, 'fd00:172:18::21/64');
      // The lab's own prober on node1 answers only at node1's first address.
      await podsReach(({ to }) => to !== 'node1');
      lab.sh('node1', 'ip link set eth0 up');
      await isSettled();
      expect([published(4), published(6)]).toEqual(['172.18.0.21/24', 'fd00:172:18::21/64']);
      lab.sh('node1', `ip link del eth1; ip -6 addr replace ${IPV6} dev eth0 nodad; ${DEFAULT_ROUTES}`);
      await isPublished(4, IPV4);
      await isPublished(6, IPV6);
      await podsReach();
    });
    expect(lossy.filter((_, i) => !isOfNode1(losses[i]!))).toEqual([]);
    expect(lab.status('node1').dataplane.problems).toEqual([]);
  });
});
