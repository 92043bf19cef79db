import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PeerStatus } from '../../bgp/peer/config.ts';
import { hasProgram, TestLab, until } from '../helpers/lab.ts';

const birdConfig = `
log "/run/cali-lab/bird/bird.log" all;
router id 172.18.0.99;
protocol device { scan time 1; }
protocol direct { ipv4; ipv6; }
protocol kernel k4 { ipv4 { import none; export where source = RTS_BGP; }; persist; }
protocol kernel k6 { ipv6 { import none; export where source = RTS_BGP; }; persist; }
protocol static own4 { ipv4; route 10.245.0.0/26 blackhole; route 10.247.0.0/26 blackhole; }
protocol static own6 { ipv6; route fd00:10:245::/122 blackhole; }
template bgp node4 { local 172.18.0.99 as 64512; graceful restart on; connect retry time 1; connect delay time 1; error wait time 1, 3;
  ipv4 { import all; export where proto = "own4"; next hop self; }; }
template bgp node6 { local fd00:172:18::10 as 64512; passive; graceful restart on; connect retry time 1; connect delay time 1; error wait time 1, 3;
  ipv6 { import all; export where proto = "own6"; next hop self; }; }
protocol bgp n1 from node4 { neighbor 172.18.0.11 as 64512; }
protocol bgp n2 from node4 { neighbor 172.18.0.12 as 64512; }
protocol bgp n1v6 from node6 { neighbor fd00:172:18::11 as 64512; }
protocol bgp n2v6 from node6 { neighbor fd00:172:18::12 as 64512; }
`;

describe.skipIf(!hasProgram('bird'))(
  'a node-to-node mesh with BIRD 2 (skipped without Debian’s package bird2)',
  () => {
    let lab: TestLab;
    beforeAll(async () => {
      lab = await TestLab.start(['--nodes', '2', '--pods', '2']);
      const setup = `
      ip netns add bird
      ip link add p-bird type veth peer name eth0 netns bird
      ip link set p-bird master lab0 up
      ip -n bird link set lo up
      ip -n bird addr add 172.18.0.99/24 dev eth0
      ip -n bird addr add fd00:172:18::10/64 dev eth0 nodad
      ip -n bird link set eth0 up
      mkdir -p /run/cali-lab/bird`;
      lab.sh('lab', setup);
      lab.pipe('lab', birdConfig, 'sh', '-c', 'cat > /run/cali-lab/bird/bird.conf');
      lab.sh(
        'bird',
        'bird -c /run/cali-lab/bird/bird.conf -s /run/cali-lab/bird/ctl -P /run/cali-lab/bird/pid',
      );
      // A node of the mesh may announce only prefixes within IPPools.
      lab.apply('IPPool', 'bird4', { cidr: '10.245.0.0/16', disabled: true });
      lab.apply('IPPool', 'bird6', { cidr: 'fd00:10:245::/112', disabled: true });
      // A Node object with BIRD's addresses: our agents peer with it as with any node of the mesh.
      const node = {
        apiVersion: 'v1',
        kind: 'Node',
        metadata: {
          name: 'bird',
          annotations: {
            'projectcalico.org/IPv4Address': '172.18.0.99/24',
            'projectcalico.org/IPv6Address': 'fd00:172:18::10/64',
          },
        },
      };
      const applied = lab.pipe('node1', JSON.stringify(node), 'calictl', 'apply', '-f', '-');
      expect(applied.stderr).toBe('');
    });
    afterAll(() => lab?.stop());

    const birdc = (command: string) => lab.sh('bird', `birdc -s /run/cali-lab/bird/ctl ${command}`);
    const withBird = (node: string) =>
      lab.status(node).bgp.peers.filter(({ config }) => config.name === 'bird');

    // By Calico's rule, BIRD connects over IPv4 (its address sorts last) and waits for us over IPv6 (sorts first).
    it('all sessions come up, whichever side connects', async () => {
      await until('4 sessions with BIRD are up', 20_000, () =>
        ['node1', 'node2'].every(
          (node) =>
            withBird(node).length === 2 && withBird(node).every(({ state }) => state === 'Established'),
        ),
      );
      expect(birdc('show protocols').match(/Established/g)).toHaveLength(4);
    });

    it('BIRD has our blocks with the attributes that we sent', async () => {
      await until(
        'BIRD has the routes',
        5000,
        () => (birdc('show route count').match(/(\d+) of/)?.[1] ?? '0') !== '0',
      );
      const block = lab.sh('node1', 'ip route show type blackhole').trim().split(/\s+/)[1]!;
      const shown = birdc(`show route ${block} all`);
      expect(shown).toContain('via 172.18.0.11 on eth0');
      expect(shown).toMatch(/BGP.origin: IGP/);
      expect(shown).toMatch(/BGP.as_path: *\n/);
      expect(shown).toMatch(/BGP.next_hop: 172\.18\.0\.11/);
      expect(shown).toMatch(/BGP.local_pref: 2147482623/);
      const block6 = lab.sh('node1', 'ip -6 route show type blackhole').trim().split(/\s+/)[1]!;
      expect(birdc(`show route ${block6} all`)).toMatch(/BGP.next_hop: fd00:172:18::11/);
      // No host route of a pod inside a block is announced.
      expect(birdc('show route')).not.toMatch(/10\.244\.\d+\.\d+\/32/);
    });

    it('our kernels follow BIRD’s routes and their changes', async () => {
      const has = (node: string, prefix: string) => lab.sh(node, `ip route show ${prefix}`);
      for (const node of ['node1', 'node2']) {
        await until(`${node} has BIRD’s IPv4 block`, 3000, () =>
          has(node, '10.245.0.0/26').includes('via 172.18.0.99 dev eth0 proto 162'),
        );
        await until(`${node} has BIRD’s IPv6 block`, 3000, () =>
          lab
            .sh(node, 'ip -6 route show fd00:10:245::/122')
            .includes('via fd00:172:18::10 dev eth0 proto 162'),
        );
      }
      lab.sh(
        'lab',
        `sed -i 's|route 10.245.0.0/26 blackhole;|route 10.245.0.64/26 blackhole; route 10.245.0.128/26 blackhole;|' /run/cali-lab/bird/bird.conf`,
      );
      birdc('configure');
      await until('node2 has the changed routes', 3000, () => {
        const routes = lab.sh('node2', 'ip route show proto 162');
        return (
          !routes.includes('10.245.0.0/26') &&
          routes.includes('10.245.0.64/26') &&
          routes.includes('10.245.0.128/26')
        );
      });
    });

    it('BIRD’s routes outside the pools stay out of our kernels, and calictl shows why', () => {
      for (const node of ['node1', 'node2']) {
        expect(lab.sh(node, 'ip route show 10.247.0.0/26')).toBe('');
        expect(lab.sh(node, 'calictl bgp routes 10.247.0.0/26')).toMatch(
          /x .*in no IPPool and no service range/,
        );
        expect(lab.sh(node, 'calictl bgp neighbor 172.18.0.99')).toMatch(
          /1 refused \(10\.247\.0\.0\/26\): in no IPPool/,
        );
      }
    });

    it('BIRD’s host reaches our pods over the routes that it learned', () => {
      const address = lab.sh('node1', 'ip route show proto 161 scope link').split(' ')[0]!;
      const route = lab.sh('bird', `ip route get ${address}`);
      expect(route).toContain('via 172.18.0.11');
    });

    it('graceful restart keeps a dead agent’s routes in BIRD and BIRD’s routes in its kernel', async () => {
      const block = lab.sh('node1', 'ip route show type blackhole').trim().split(/\s+/)[1]!;
      await lab.ask({ do: 'node kill', name: 'node1' });
      await new Promise((resolve) => setTimeout(resolve, 1500));
      expect(birdc(`show route ${block}`)).toContain('via 172.18.0.11');
      expect(lab.sh('node1', 'ip route show proto 162')).toContain('10.245.0.64/26');
      await lab.ask({ do: 'node start', name: 'node1' });
      await until('the sessions with BIRD are back', 20_000, () =>
        withBird('node1').every(({ state }) => state === 'Established'),
      );
      expect(birdc(`show route ${block}`)).toContain('via 172.18.0.11');
    });

    it('a prefix from two speakers becomes one multipath route, and single-path when one ends', async () => {
      const second = `
      log "/run/cali-lab/bird/bird2.log" all;
      router id 172.18.0.98;
      protocol device { scan time 1; }
      protocol static own4 { ipv4; route 10.245.0.128/26 blackhole; }
      protocol bgp n1 { local 172.18.0.98 as 64512; neighbor 172.18.0.11 as 64512; connect delay time 1; connect retry time 1;
        ipv4 { import none; export where proto = "own4"; next hop self; }; }`;
      const setup = `
      ip netns add bird2
      ip link add p-bird2 type veth peer name eth0 netns bird2
      ip link set p-bird2 master lab0 up
      ip -n bird2 link set lo up
      ip -n bird2 addr add 172.18.0.98/24 dev eth0
      ip -n bird2 link set eth0 up`;
      lab.sh('lab', setup);
      lab.pipe('lab', second, 'sh', '-c', 'cat > /run/cali-lab/bird/bird2.conf');
      lab.sh(
        'bird2',
        'bird -c /run/cali-lab/bird/bird2.conf -s /run/cali-lab/bird/ctl2 -P /run/cali-lab/bird/pid2',
      );
      const node = {
        apiVersion: 'v1',
        kind: 'Node',
        metadata: { name: 'bird2', annotations: { 'projectcalico.org/IPv4Address': '172.18.0.98/24' } },
      };
      lab.pipe('node1', JSON.stringify(node), 'calictl', 'apply', '-f', '-');
      const route = () => lab.sh('node1', 'ip route show 10.245.0.128/26').replace(/\s+/g, ' ').trim();
      const both =
        '10.245.0.128/26 proto 162 nexthop via 172.18.0.98 dev eth0 weight 1 nexthop via 172.18.0.99 dev eth0 weight 1';
      await until('the route has two next hops', 15_000, () => route() === both);
      const watch = lab.follow('node1', 'ip', '-o', 'monitor', 'route');
      await new Promise((resolve) => setTimeout(resolve, 1000));
      expect(await watch.stop()).toEqual([]);
      const gone = lab.pipe('node1', JSON.stringify(node), 'calictl', 'delete', '-f', '-');
      expect(gone.stderr).toBe('');
      await until(
        'the route has one next hop',
        3000,
        () => route() === '10.245.0.128/26 via 172.18.0.99 dev eth0 proto 162',
      );
    });

    it('a node in gracefulShutdown adds its community to every route (RFC 8326)', async () => {
      const block = lab.sh('node1', 'ip route show type blackhole').trim().split(/\s+/)[1]!;
      const set = (gracefulShutdown: boolean) =>
        lab.apply('BGPConfiguration', 'node.node1', { gracefulShutdown });
      const shown = () => birdc(`show route ${block} all`);
      set(true);
      await until('the route has the community GRACEFUL_SHUTDOWN', 3000, () =>
        shown().includes('BGP.community: (65535,0)'),
      );
      expect(shown()).toMatch(/BGP.local_pref: 0\n/);
      set(false);
      await until('the route has no community', 3000, () => !shown().includes('(65535,0)'));
      expect(shown()).toMatch(/BGP.local_pref: 2147482623/);
    });

    it('a pod peers with its node at an address that is the same on every node', async () => {
      lab.apply('BGPConfiguration', 'default', { localWorkloadPeeringIPV4: '169.254.9.1' });
      lab.apply('BGPFilter', 'pods', { importV4: [{ action: 'Accept' }] });
      const chosen = { localWorkloadSelector: "router == 'yes'", asNumber: 65200, filters: ['pods'] };
      lab.apply('BGPPeer', 'pods', chosen);
      lab.sh('node1', 'kubectl label pod node1-a router=yes');
      const config = `
      log "/run/cali-lab/bird/pod.log" all;
      router id 1.1.1.1;
      protocol device { scan time 1; }
      protocol static own4 { ipv4; route 10.244.255.0/28 blackhole; }
      protocol bgp node { local as 65200; neighbor 169.254.9.1 as 64512; multihop; connect delay time 1; connect retry time 1;
        ipv4 { import all; export where proto = "own4"; gateway recursive; }; }`;
      lab.pipe('lab', config, 'sh', '-c', 'cat > /run/cali-lab/bird/pod.conf');
      lab.sh(
        'node1-a',
        'bird -c /run/cali-lab/bird/pod.conf -s /run/cali-lab/bird/pod.ctl -P /run/cali-lab/bird/pod.pid',
      );
      const address = lab.sh('node1-a', 'ip -4 -o addr show eth0').match(/inet ([\d.]+)/)![1]!;
      // `node status` does not show pods that are peers (Calico B-068).
      await until('the session with the pod is up', 15_000, () => {
        const { stdout } = lab.exec('node1', 'calictl', 'bgp', 'peers', '-o', 'json');
        const peers = JSON.parse(stdout || '[]') as PeerStatus[];
        return peers.some(({ config, state }) => config.address === address && state === 'Established');
      });
      await until('node2 has the pod’s route', 5000, () =>
        lab.sh('node2', 'ip route show proto 162').includes('10.244.255.0/28'),
      );
      expect(lab.sh('node1', 'ip route show 10.244.255.0/28')).toContain(`via ${address}`);
    });

    it('routes from BIRD are withdrawn when its session is shut down', async () => {
      birdc('disable n2');
      await until(
        'node2 has no IPv4 route from BIRD',
        3000,
        () => !lab.sh('node2', 'ip route show proto 162').includes('10.245'),
      );
      const down = withBird('node2').find(({ config }) => config.address === '172.18.0.99')!;
      expect(down.lastError).toMatch(/received Cease\/Administrative Shutdown/);
      birdc('enable n2');
      await until('BIRD’s routes are back', 15_000, () =>
        lab.sh('node2', 'ip route show proto 162').includes('10.245.0.64/26'),
      );
    });
  },
);
