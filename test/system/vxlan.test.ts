/** Tunnels on this kernel: dropped and masqueraded packets, a cluster without BGP, and changes at run time. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { hasProgram, TestLab, until } from '../helpers/lab.ts';

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Node.js one-liners that run inside a namespace. */
const sendUdp = (address: string, port: number, hex: string) =>
  `const s=require('dgram').createSocket('${address.includes(':') ? 'udp6' : 'udp4'}');s.send(Buffer.from('${hex}','hex'),${port},'${address}',()=>s.close())`;
const saysWho = (port: number) =>
  `require('net').createServer((s)=>s.end(s.remoteAddress)).listen(${port},'0.0.0.0')`;
const asks = (address: string, port: number) =>
  `require('net').connect(${port},'${address}').on('data',(d)=>process.stdout.write(d)).on('error',(e)=>{console.log(e.message);process.exit(1)})`;

describe('VXLAN between two subnets', () => {
  let lab: TestLab;
  beforeAll(async () => {
    lab = await TestLab.start(['--subnets', '2', '--encap', 'vxlan', '--pods', '1']);
  });
  afterAll(() => lab?.stop());

  const node = (place: string, program: string) => lab.exec(place, process.execPath, '-e', program);
  const podAddress = (name: string) => lab.sh(name, 'ip route show proto 161 scope link').split(' ')[0]!;
  const dropped = (name: string, pattern: RegExp) => {
    const line = lab
      .sh(name, 'nft list table inet cali')
      .split('\n')
      .find((text) => pattern.test(text));
    return Number(/counter packets (\d+)/.exec(line ?? '')?.[1] ?? -1);
  };
  // An empty Ethernet frame in VNI 4096.
  const forged = `0800000000100000${'00'.repeat(60)}`;

  it.skipIf(!hasProgram('nft'))('accepts encapsulated packets only from nodes', async () => {
    const drops = () => dropped('node1', /udp dport 4789 @th,96,24 .* ip saddr != @encapsulators4/);
    const before = drops();
    expect(before).toBeGreaterThanOrEqual(0);
    node('lab', sendUdp('172.18.0.11', 4789, forged));
    await until('the guard has counted the drop', 2000, () => drops() === before + 1);
    // The guard leaves other VNIs on the same port alone.
    node('lab', sendUdp('172.18.0.11', 4789, forged.replace('001000', '000007')));
    await sleep(200);
    expect(drops()).toBe(before + 1);
  });

  it.skipIf(!hasProgram('nft'))('drops encapsulated packets from a pod, both VXLAN and IPIP', async () => {
    const drops = () => dropped('node1', /^\s*udp dport 4789 counter/);
    const before = drops();
    for (const address of ['172.18.0.11', '172.19.0.13']) node('node1-a', sendUdp(address, 4789, forged));
    await until('the guard has counted both drops', 2000, () => drops() === before + 2);
    const ipip = () => dropped('node1', /^\s*meta l4proto (ipencap|4) counter/);
    expect(ipip()).toBe(0);
    // Most machines have Python for a raw socket. Without it, only the rule is checked.
    if (!hasProgram('python3')) return;
    const raw = `import socket;s=socket.socket(socket.AF_INET,socket.SOCK_RAW,4);s.sendto(bytes(40),('172.19.0.13',0))`;
    expect(lab.exec('node1-a', 'python3', '-c', raw).stderr).toBe('');
    await until('the guard has counted the drop', 2000, () => ipip() === 1);
  });

  it.skipIf(!hasProgram('nft'))('masquerades traffic that leaves the pools, never between pods', async () => {
    const outside = lab.follow('lab', process.execPath, '-e', saysWho(7071));
    const inside = lab.follow('node4-a', process.execPath, '-e', saysWho(7071));
    await until('the server answers', 5000, () => node('lab', asks('172.18.0.1', 7071)).code === 0);
    expect(node('node1-a', asks('172.18.0.1', 7071)).stdout).toBe('172.18.0.11');
    expect(node('node1-a', asks(podAddress('node4'), 7071)).stdout).toBe(podAddress('node1'));
    // A node's own packets leave through the tunnel with its tunnel address, even if a program bound another one.
    const tunnel = lab.status('node1').tunnels.find(({ device }) => device === 'vxlan.cali')!.address;
    expect(node('node1', asks(podAddress('node4'), 7071)).stdout).toBe(tunnel);
    const bound = `require('net').connect({port:7071,host:'${podAddress('node4')}',localAddress:'172.18.0.11'}).on('data',(d)=>process.stdout.write(d))`;
    expect(node('node1', bound).stdout).toBe(tunnel);
    await Promise.all([outside.stop(), inside.stop()]);
  });

  it.skipIf(!hasProgram('nft'))('restores its table after another program has changed it', async () => {
    const listed = lab.sh('node1', 'nft -s list table inet cali');
    lab.sh('node1', 'nft flush chain inet cali nat-outgoing');
    lab.apply('FelixConfiguration', 'default', { routeRefreshInterval: '1s' });
    await until(
      'the table is restored',
      8000,
      () => lab.sh('node1', 'nft -s list table inet cali') === listed,
    );
  });

  it('restores entries and addresses of its device after another program has changed them', async () => {
    const state = () =>
      lab.sh(
        'node1',
        'bridge fdb show dev vxlan.cali; ip neigh show dev vxlan.cali; ip addr show dev vxlan.cali',
      );
    const before = state();
    const [neighbour] = lab.sh('node1', 'ip neigh show dev vxlan.cali').split(' ');
    const [mac] = lab.sh('node1', 'bridge fdb show dev vxlan.cali').split(' ');
    lab.sh('node1', `ip neigh del ${neighbour} dev vxlan.cali; bridge fdb del ${mac} dev vxlan.cali`);
    lab.sh('node1', 'ip addr add 10.9.9.9/32 dev vxlan.cali');
    await until('the device’s entries and addresses are restored', 8000, () => state() === before);
  });

  it('keeps its routes without BGP: none is lost when the mesh is switched off and on again', async () => {
    const mesh = (nodeToNodeMeshEnabled: boolean) =>
      lab.apply('BGPConfiguration', 'default', { nodeToNodeMeshEnabled });
    const routes = (protocol: string) =>
      lab
        .sh('node1', `ip route show proto ${protocol}; ip -6 route show proto ${protocol}`)
        .split('\n')
        .filter((line) => / via /.test(line));
    const before = routes('162').length;
    expect(before).toBeGreaterThan(0);
    await lab.ask({ do: 'flows start', intervalMs: 20 });
    mesh(false);
    // Through the tunnel to the other subnet, and directly within the same one.
    await until(
      'node1’s routes are felix’s',
      60_000,
      () => routes('162').length === 0 && routes('161').length === before,
    );
    expect(await lab.unreachable()).toEqual([]);
    await lab.ask({ do: 'node kill', name: 'node1' });
    await lab.ask({ do: 'node start', name: 'node1' });
    expect(routes('161')).toHaveLength(before);
    mesh(true);
    await until(
      'node1’s routes are BGP’s',
      60_000,
      () => routes('162').length === before && routes('161').length === 0,
    );
    expect((await lab.flows()).filter(({ lost }) => lost > 0)).toEqual([]);
  });

  it('follows the uplink’s MTU, and passes it on to new pods', async () => {
    lab.sh('node2', 'ip link set eth0 mtu 1400');
    await until('the device has MTU 1350', 3000, () =>
      lab.sh('node2', 'ip link show dev vxlan.cali').includes('mtu 1350 '),
    );
    await lab.ask({ do: 'pod add', node: 'node2', name: 'small' });
    // The IPv6 tunnel has the smallest MTU.
    expect(lab.sh('small', 'ip link show dev eth0')).toContain('mtu 1330 ');
    expect(lab.status('node2').podMtu).toBe(1330);
    lab.sh('node2', 'ip link set eth0 mtu 1500');
    await until('the device has MTU 1450', 3000, () =>
      lab.sh('node2', 'ip link show dev vxlan.cali').includes('mtu 1450 '),
    );
    await lab.ask({ do: 'pod delete', name: 'small' });
  });

  it('works next to a pool with another mode', async () => {
    lab.apply('IPPool', 'plain', { cidr: '10.250.0.0/24', blockSize: 28 });
    const annotations = { 'cni.projectcalico.org/ipv4pools': '["plain"]' };
    await lab.ask({ do: 'pod add', node: 'node1', name: 'unwrapped', annotations });
    const route = (range: string) => lab.sh('node3', `ip route show root ${range} proto 162`);
    // Through the router, which has no routes to pods: that is the meaning of mode Never.
    await until('node3 has the route through the router', 5000, () =>
      /^10\.250\.0\.\d+\/28 via 172\.19\.0\.1 dev eth0/.test(route('10.250.0.0/24')),
    );
    expect(route('10.244.0.0/16').match(/dev vxlan\.cali/g)).toHaveLength(2);
    await lab.ask({ do: 'pod delete', name: 'unwrapped' });
  });

  it('follows a node that moves to the other subnet', async () => {
    lab.sh('lab', 'ip link set p-node2 master lab1');
    lab.sh(
      'node2',
      `ip addr flush dev eth0 scope global
       ip addr add 172.19.0.12/24 dev eth0; ip -6 addr add fd00:172:19::12/64 dev eth0 nodad
       ip route replace default via 172.19.0.1; ip -6 route replace default via fd00:172:19::1`,
    );
    await until(
      'node1 has the tunnel to node2’s new address',
      20_000,
      () =>
        lab.sh('node1', 'ip route show proto 162').includes('dev vxlan.cali') &&
        /172\.19\.0\.12/.test(lab.sh('node1', 'bridge fdb show dev vxlan.cali')),
    );
    await until('every pod reaches every pod', 15_000, async () =>
      (await lab.unreachable(3000)).every(({ to }) => to === 'node2'),
    );
    // Three nodes now share a subnet: direct routes among them, the tunnel only to node1.
    await until('node2 has direct routes', 5000, () =>
      /via 172\.19\.0\.1[34] dev eth0/.test(lab.sh('node2', 'ip route show proto 162')),
    );
    expect(lab.sh('node2', 'ip route show proto 162').match(/dev vxlan\.cali/g)).toHaveLength(1);
  });
});

describe('routes without BGP', () => {
  let lab: TestLab;
  afterEach(async () => {
    delete process.env['CALICO_NETWORKING_BACKEND'];
    await lab?.stop();
  });

  it('work over VXLAN with BGP switched off (CALICO_NETWORKING_BACKEND=vxlan)', async () => {
    process.env['CALICO_NETWORKING_BACKEND'] = 'vxlan';
    lab = await TestLab.start(['--subnets', '2', '--encap', 'vxlan', '--mode', 'always', '--pods', '1']);
    expect(lab.report.unreachable).toEqual([]);
    expect(lab.sh('node1', 'ss -ltnH sport = :179')).toBe('');
    expect(lab.sh('node1', 'ip route show proto 162')).toBe('');
    expect(lab.sh('node1', 'ip route show proto 161').match(/dev vxlan\.cali/g)).toHaveLength(3);
    const { notReady, bgp } = lab.status('node1');
    expect([notReady, bgp.peers]).toEqual([[], []]);
  });

  it('can come from the datastore next to BGP (routeSource: Datastore), and go back', async () => {
    lab = await TestLab.start(['--subnets', '1', '--encap', 'none', '--pods', '1', '--nodes', '3']);
    const set = (routeSource: string) => lab.apply('FelixConfiguration', 'default', { routeSource });
    const routes = (protocol: string) =>
      lab
        .sh('node1', `ip route show proto ${protocol}`)
        .split('\n')
        .filter((line) => / via /.test(line));
    await lab.ask({ do: 'flows start', intervalMs: 10 });
    set('Datastore');
    await until(
      'node1’s routes are felix’s',
      5000,
      () => routes('161').length === 2 && routes('162').length === 0,
    );
    set('BGP');
    await until(
      'node1’s routes are BGP’s',
      5000,
      () => routes('161').length === 0 && routes('162').length === 2,
    );
    expect((await lab.flows()).filter(({ lost }) => lost > 0)).toEqual([]);
  });
});

describe('a kernel without ipip', () => {
  let lab: TestLab;
  afterAll(() => lab?.stop());

  it('is reported on the Node, in readiness and by calictl, and the other pools still work', async () => {
    lab = await TestLab.start([
      '--subnets',
      '1',
      '--encap',
      'ipip',
      '--mode',
      'always',
      '--pods',
      '1',
      '--nodes',
      '2',
    ]);
    const sentence =
      /this kernel does not support IPIP \(.*\), which IPPool default-ipv4-ippool requires: load the module \(modprobe ipip\), or set vxlanMode/;
    await until('readiness reports the reason', 5000, () =>
      lab.status('node1').notReady.some((reason) => sentence.test(reason)),
    );
    const shown = lab.exec('node1', 'calictl', 'node', 'status');
    expect(shown.stdout).toMatch(sentence);
    expect(shown.code).toBe(1);
    const condition = () =>
      lab.sh(
        'node1',
        `kubectl get node node1 -o jsonpath='{.status.conditions[?(@.type=="NetworkUnavailable")].message}'`,
      );
    if (hasProgram('kubectl'))
      await until('the Node’s condition reports the reason', 5000, () => sentence.test(condition()));
    const ready = `require('http').get('http://localhost:9099/readiness',(r)=>r.on('data',(d)=>console.log(r.statusCode,String(d))))`;
    expect(lab.exec('node1', process.execPath, '-e', ready).stdout).toMatch(
      /^503 this kernel does not support IPIP/,
    );
    // Within a subnet, packets need no tunnel; IPv6, which uses VXLAN, is unaffected.
    expect(await lab.unreachable()).toEqual([]);
    expect(lab.sh('node1', 'ip -6 route show proto 162')).toContain('dev vxlan-v6.cali');
  });
});
