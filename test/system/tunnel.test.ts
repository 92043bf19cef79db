/**
 * Two subnets with a router that has no routes to pods: VXLAN on this kernel, or IPIP when ipip.test.ts runs this file
 * inside user-mode Linux.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { FlowReport } from '../../lab/prober.ts';
import { hasProgram, TestLab, until } from '../helpers/lab.ts';

/** Packets that a flow may lose over two or three changes of mode: those in flight during one replacement. */
const MOST_LOST = 1;

const isIpip = process.env['CALI_TEST_ENCAP'] === 'ipip';
const device = isIpip ? 'tunl0' : 'vxlan.cali';
const overhead = isIpip ? 20 : 50;
/** MTU overhead of pods: that of the largest tunnel, which is the one over IPv6. */
const podOverhead = isIpip ? 20 : 70;
const encapsulated = isIpip ? 'ip proto 4' : 'udp port 4789';
/** Inside user-mode Linux everything takes ten times as long, and twenty times on a slow machine. */
const patience = isIpip ? 20 : 1;
const subnetOf = { node1: 0, node2: 0, node3: 1, node4: 1 } as const;
type NodeName = keyof typeof subnetOf;
const nodes = Object.keys(subnetOf) as NodeName[];

describe(`pods on two subnets, over ${isIpip ? 'IPIP' : 'VXLAN'}`, { timeout: 120_000 * patience }, () => {
  let lab: TestLab;
  beforeAll(async () => {
    const encap = isIpip ? 'ipip' : 'vxlan';
    // IPv6 uses VXLAN in both.
    const args = ['--subnets', '2', '--encap', encap, '--pods', '1', ...(isIpip ? ['--no-ipv6'] : [])];
    lab = await TestLab.start(args);
  });
  afterAll(() => lab?.stop());

  const remoteRoutes = (node: NodeName) =>
    lab
      .sh(node, 'ip route show proto 162')
      .split('\n')
      .filter((line) => line.startsWith('10.244.'));
  const throughTunnel = (node: NodeName) =>
    remoteRoutes(node).filter((line) => line.includes(`dev ${device} `));
  const setMode = (mode: 'Never' | 'CrossSubnet' | 'Always') => {
    const field = isIpip ? 'ipipMode' : 'vxlanMode';
    const pools = isIpip ? ['default-ipv4-ippool'] : ['default-ipv4-ippool', 'default-ipv6-ippool'];
    for (const name of pools) {
      const patch = JSON.stringify({ spec: { [field]: mode } });
      const { stderr } = lab.exec('node1', 'calictl', 'patch', 'ippool', name, '-p', patch);
      expect(stderr).toBe('');
    }
  };
  /** Waits until each node has this many routes through the tunnel: none, those to the other subnet, or all. */
  const hasMode = async (count: 0 | 2 | 3) => {
    await until(`every node has ${count} routes through ${device}`, 10_000 * patience, () =>
      nodes.every((node) => throughTunnel(node).length === count && remoteRoutes(node).length === 3),
    );
  };
  const podAddress = (node: NodeName) => lab.sh(node, 'ip route show proto 161 scope link').split(' ')[0]!;

  it('all pods reach all pods, directly within a subnet and through the tunnel across subnets', async () => {
    expect(lab.report.unreachable).toEqual([]);
    await hasMode(2);
    for (const line of throughTunnel('node1'))
      expect(line).toMatch(
        isIpip
          ? /^10\.244\.\S+\/26 via 172\.19\.0\.1[34] dev tunl0 src 10\.244\.\S+ onlink/
          : /^10\.244\.\S+\/26 via 10\.244\.\S+ dev vxlan\.cali src 10\.244\.\S+ onlink/,
      );
    expect(remoteRoutes('node1').join()).toMatch(/10\.244\.\S+\/26 via 172\.18\.0\.12 dev eth0/);
    const link = lab.sh('node1', `ip -d addr show dev ${device}`);
    expect(link).toContain(`mtu ${1500 - overhead} `);
    expect(link.match(/ inet 10\.244\.\S+\/32 /g)).toHaveLength(1);
    expect(lab.sh('node1-a', 'ip link show eth0')).toContain(`mtu ${1500 - podOverhead} `);
    // Each Node has its tunnel address.
    const shown = lab.sh('node1', 'calictl get nodes -o yaml');
    expect(shown.match(isIpip ? /ipv4IPIPTunnelAddr/g : /ipv4VXLANTunnelAddr/g)).toHaveLength(4);
  });

  it.skipIf(!hasProgram('tcpdump'))('the router sees only encapsulated packets between pods', async () => {
    // Captures what the router forwards into the second subnet, and what one node of the first sends to the other.
    const fromRouter = 'ether src 02:00:ac:12:00:02';
    const routed = lab.capture('lab1', `${fromRouter} and ${encapsulated}`);
    const bare = lab.capture('lab1', `${fromRouter} and src net 10.244.0.0/16 and dst net 10.244.0.0/16`);
    const inside = lab.capture('p-node2', `${encapsulated} and host 172.18.0.11 and host 172.18.0.12`);
    await new Promise((resolve) => setTimeout(resolve, 1000 * Math.min(patience, 5)));
    expect(await lab.unreachable(5000 * patience)).toEqual([]);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const seen = await routed.stop();
    expect(seen.length).toBeGreaterThan(7);
    expect(seen.join('\n')).toMatch(
      isIpip ? /IP 172\.\S+ > 172\.\S+: IP 10\.244\./ : /VXLAN, flags \[I\] \(0x08\), vni 4096/,
    );
    expect(await bare.stop()).toEqual([]);
    expect(await inside.stop()).toEqual([]);
  });

  it.skipIf(!hasProgram('ping'))(
    'the largest packet fits; a larger one is refused at once with DF and fragmented without',
    () => {
      const to = podAddress('node4');
      const ping = (size: number, df: 'do' | 'dont') =>
        lab.exec('node1-a', 'ping', '-c', '1', '-W', '5', '-M', df, '-s', String(size), to);
      const largest = 1500 - podOverhead - 28;
      expect(ping(largest, 'do').code).toBe(0);
      const refused = ping(1472, 'do');
      expect(refused.stdout + refused.stderr).toMatch(
        new RegExp(`message too long, mtu[:=] ?${1500 - podOverhead}`),
      );
      expect(ping(1472, 'dont').code).toBe(0);
      expect(ping(8000, 'dont').code).toBe(0);
    },
  );

  it('a TCP stream passes, whatever its segment sizes', async () => {
    const server = `require('net').createServer((s)=>s.on('data',(d)=>s.write(d))).listen(7070)`;
    const echo = lab.follow('node4-a', process.execPath, '-e', server);
    const client = `const s=require('net').connect(7070,'${podAddress('node4')}');let n=0;s.on('connect',()=>s.write(Buffer.alloc(1<<20)));s.on('data',(d)=>{n+=d.length;if(n>=1<<20){console.log(n);process.exit()}});s.on('error',()=>process.exit(1))`;
    await until('a megabyte is echoed', 15_000 * patience, () =>
      lab.exec('node1-a', process.execPath, '-e', client).stdout.startsWith('1048576'),
    );
    await echo.stop();
  });

  it('all pods reach an address borrowed from another node’s block', async () => {
    const free = podAddress('node3').replace(/\d+$/, (last) => String(Number(last) + 20));
    const annotations = { 'cni.projectcalico.org/ipAddrs': JSON.stringify([free]) };
    await lab.ask({ do: 'pod add', node: 'node1', name: 'guest', annotations });
    await until('all pods reach guest', 5000 * patience, async () =>
      (await lab.unreachable(2000 * patience)).every(({ to, from }) => to !== 'guest' && from !== 'guest'),
    );
    // Before that, its packets may follow the block's route through node3.
    await until('node4 has a host route to guest', 5000 * patience, () =>
      lab.sh('node4', `ip route show ${free}`).includes(`dev ${device}`),
    );
    await lab.ask({ do: 'pod delete', name: 'guest' });
  });

  it('a device that is deleted or down is restored', async () => {
    const loss = isIpip
      ? 'ip link set tunl0 down; ip addr flush dev tunl0'
      : 'ip link del vxlan.cali; ip link del vxlan-v6.cali';
    lab.sh('node3', loss);
    await hasMode(2);
    await until(
      'all pods reach all pods',
      5000 * patience,
      async () => (await lab.unreachable(2000 * patience)).length === 0,
    );
  });

  it('a mode change under traffic loses at most the packets of one replacement', async () => {
    const lost = (reports: readonly FlowReport[], isBetween: (a: number, b: number) => boolean) =>
      reports
        .filter(({ from, to }) =>
          isBetween(subnetOf[from.slice(0, 5) as NodeName], subnetOf[to.slice(0, 5) as NodeName]),
        )
        .map(({ lost }) => lost);
    const intervalMs = isIpip ? 200 : 10;
    await lab.ask({ do: 'flows start', intervalMs });
    setMode('Always');
    await hasMode(3);
    setMode('CrossSubnet');
    await hasMode(2);
    const first = await lab.flows();
    expect(Math.max(...lost(first, () => true))).toBeLessThanOrEqual(MOST_LOST);
    // Without a tunnel, the other subnet is unreachable; a node's own subnet is not.
    await lab.ask({ do: 'flows start', intervalMs });
    setMode('Never');
    await hasMode(0);
    setMode('Always');
    await hasMode(3);
    setMode('Never');
    await hasMode(0);
    const second = await lab.flows();
    expect(Math.max(...lost(second, (a, b) => a === b))).toBeLessThanOrEqual(MOST_LOST);
    setMode('CrossSubnet');
    await hasMode(2);
    await until(
      'all pods reach all pods',
      10_000 * patience,
      async () => (await lab.unreachable(3000 * patience)).length === 0,
    );
  });

  it('the tunnel ends with its mode: its device or address is removed, and IPAM gets the address back', async () => {
    setMode('Never');
    await hasMode(0);
    await until('the device has no address', 40_000 * Math.min(patience, 3), () => {
      const left = lab.sh('node1', `ip addr show dev ${device} 2>/dev/null || true`);
      return !left.includes(' inet ');
    });
    expect(lab.sh('node1', 'calictl get nodes -o yaml')).not.toMatch(/TunnelAddr/i);
    expect(lab.sh('node1', 'calictl get ipamblocks -o yaml')).not.toMatch(/tunnel-addr/);
  });
});
