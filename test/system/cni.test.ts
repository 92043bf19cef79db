import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { podInterfaceName as podVeth, containerInterfaceName as veth } from '../../model/endpoint.ts';
import { hasProgram, root, TestLab, until } from '../helpers/lab.ts';

const config = (version = '1.0.0', more = {}) =>
  JSON.stringify({ cniVersion: version, name: 'test-net', type: 'cali', ...more });

/** Calls the real shim in a node as a container runtime does. */
describe.skipIf(!hasProgram('gcc'))('the CNI shim (skipped without gcc)', () => {
  let lab: TestLab;
  beforeAll(async () => {
    lab = await TestLab.start(['--nodes', '1', '--pods', '1']);
    const flags = ['-O2', '-Wall', '-Wextra', '-Werror', '-static'];
    const built = spawnSync('gcc', [...flags, '-o', `${process.env['CALI_LAB_DIR']}/shim`, 'cni/shim.c'], {
      cwd: root,
      encoding: 'utf8',
    });
    expect(built.stderr).toBe('');
    lab.sh('lab', 'for n in c1 c2 c3; do ip netns add $n; done');
  });
  afterAll(() => lab?.stop());

  const call = (
    command: string,
    environment: Record<string, string>,
    stdin = config(),
    socket = '/run/cali-lab/node1/cni.sock',
  ) => {
    const pairs = Object.entries({ CNI_COMMAND: command, CALI_CNI_SOCKET: socket, ...environment }).map(
      ([key, value]) => `${key}=${value}`,
    );
    const ran = lab.pipe('node1', stdin, 'env', ...pairs, `${process.env['CALI_LAB_DIR']}/shim`);
    return {
      code: ran.code,
      json:
        ran.stdout === ''
          ? undefined
          : (JSON.parse(ran.stdout) as Record<string, unknown> & { msg: string; code: number }),
    };
  };
  const container = (id: string) => ({
    CNI_CONTAINERID: id,
    CNI_NETNS: `/run/netns/${id}`,
    CNI_IFNAME: 'eth0',
    CNI_PATH: '/opt/cni/bin',
  });

  it('answers VERSION and STATUS', () => {
    expect(call('VERSION', {}).json).toMatchObject({
      supportedVersions: ['0.3.1', '0.4.0', '1.0.0', '1.1.0'],
    });
    expect(call('STATUS', {}, config('1.1.0'))).toEqual({ code: 0, json: undefined });
  });

  it('ADD creates Calico’s veth, addresses, routes and sysctls', () => {
    const { code, json } = call('ADD', container('c1'));
    expect(code).toBe(0);
    const { ips, interfaces } = json as unknown as {
      ips: { address: string; version?: string }[];
      interfaces: { name: string; mac: string }[];
    };
    expect(ips.map(({ address }) => address.split('/')[1])).toEqual(['32', '128']);
    expect(ips[0]!.version).toBeUndefined();
    expect(interfaces[0]).toEqual({ name: veth('c1'), mac: 'ee:ee:ee:ee:ee:ee' });
    const [v4, v6] = ips.map(({ address }) => address.split('/')[0]!);
    expect(lab.sh('node1', `ip route show ${v4}`)).toBe(`${v4} dev ${veth('c1')} proto 161 scope link \n`);
    expect(lab.sh('node1', `ip -6 route show ${v6}`)).toContain(`dev ${veth('c1')} proto 161`);
    const sysctl = (name: string) => lab.sh('node1', `cat /proc/sys/net/${name}`).trim();
    expect(sysctl(`ipv4/conf/${veth('c1')}/proxy_arp`)).toBe('1');
    expect(sysctl(`ipv4/neigh/${veth('c1')}/proxy_delay`)).toBe('0');
    expect(sysctl(`ipv6/conf/${veth('c1')}/proxy_ndp`)).toBe('1');
    expect(sysctl(`ipv4/conf/${veth('c1')}/forwarding`)).toBe('1');
    const inside = (command: string) => lab.sh('lab', `ip -n c1 ${command}`);
    expect(inside('route show')).toBe(
      'default via 169.254.1.1 dev eth0 \n169.254.1.1 dev eth0 scope link \n',
    );
    expect(inside('-6 route show default')).toContain('via fe80::ecee:eeff:feee:eeee dev eth0');
    expect(inside('-br addr show eth0')).toContain(`${v4}/32 ${v6}/128`);
  });

  it('ADD repeated gives the same result, CHECK agrees, and version 0.3.1 gets its own format', () => {
    const first = call('ADD', container('c1'));
    expect(call('ADD', container('c1'))).toEqual(first);
    expect(call('CHECK', container('c1'))).toEqual({ code: 0, json: undefined });
    const old = call('ADD', container('c2'), config('0.3.1')).json as unknown as {
      ips: { version: string }[];
    };
    expect(old.ips.map(({ version }) => version)).toEqual(['4', '6']);
  });

  it('CHECK reports what is wrong', () => {
    lab.sh('node1', `ip link set ${veth('c2')} down`);
    expect(call('CHECK', container('c2')).json).toMatchObject({
      code: 103,
      msg: expect.stringContaining(`interface ${veth('c2')} is not up`),
    });
    lab.sh('node1', `ip link set ${veth('c2')} up`);
  });

  it('DEL releases everything, and may be repeated, late or without an ADD', async () => {
    const handles = () =>
      lab
        .sh('node1', 'calictl get ipamhandles')
        .split('\n')
        .filter((line) => line.startsWith('test-net.'));
    expect(handles()).toEqual(['test-net.c1', 'test-net.c2']);
    lab.sh('lab', 'ip netns del c2');
    expect(call('DEL', { CNI_CONTAINERID: 'c2', CNI_IFNAME: 'eth0' }).code).toBe(0);
    expect(call('DEL', container('c2')).code).toBe(0);
    expect(call('DEL', container('never-there')).code).toBe(0);
    expect(handles()).toEqual(['test-net.c1']);
    expect(lab.exec('node1', 'ip', 'link', 'show', veth('c2')).code).toBe(1);
  });

  it('GC removes the attachments that the runtime no longer has', () => {
    expect(call('ADD', container('c3')).code).toBe(0);
    const valid = [{ containerID: 'c1', ifname: 'eth0' }];
    expect(call('GC', {}, config('1.1.0', { 'cni.dev/valid-attachments': valid })).code).toBe(0);
    expect(lab.exec('node1', 'ip', 'link', 'show', veth('c3')).code).toBe(1);
    expect(lab.exec('node1', 'ip', 'link', 'show', veth('c1')).code).toBe(0);
  });

  it('ADD applies annotations for the MAC address and IP families, and refuses unsupported ones', async () => {
    const prefix = 'cni.projectcalico.org/';
    const add = (name: string, asked: Record<string, string>) =>
      lab.ask({
        do: 'pod add',
        node: 'node1',
        name,
        annotations: Object.fromEntries(Object.entries(asked).map(([key, value]) => [prefix + key, value])),
      }) as Promise<{ addresses: string[] }>;
    const { addresses } = await add('chosen', { hwAddr: '0A:1B:2C:3D:4E:5F', ipFamilies: '["IPv6"]' });
    expect(addresses).toEqual([expect.stringContaining(':')]);
    const neighbour = lab.sh('node1', `ip -6 neigh show ${addresses[0]}`);
    expect(neighbour).toContain(`dev ${podVeth('default', 'chosen')} lladdr 0a:1b:2c:3d:4e:5f`);
    lab.sh('node1', `ping -6 -c 1 -W 5 ${addresses[0]}`);
    await expect(add('floats', { floatingIPs: '["203.0.113.7"]' })).rejects.toThrow(
      'annotation cni.projectcalico.org/floatingIPs: Cali does not support floating IPs: remove the annotation',
    );
    expect(lab.exec('node1', 'ip', 'link', 'show', podVeth('default', 'floats')).code).toBe(1);
  });

  it('bad calls get an error that explains them, and a failed ADD leaves nothing behind', () => {
    const before = lab.sh('node1', 'calictl get ipamhandles; ip -br link | cut -d" " -f1');
    const refusals: [ReturnType<typeof call>, number, RegExp][] = [
      [
        call('ADD', { ...container('c9'), CNI_NETNS: '/run/netns/gone' }),
        3,
        /network namespace \/run\/netns\/gone does not exist/,
      ],
      [call('ADD', { CNI_CONTAINERID: 'c9', CNI_IFNAME: 'eth0' }), 4, /CNI_NETNS is not set/],
      [call('ADD', container('../x')), 4, /CNI_CONTAINERID "..\/x"/],
      [call('ADD', container('c1'), config('0.2.0')), 1, /cniVersion 0.2.0 is not supported/],
      [call('ADD', container('c1'), '{'), 6, /not JSON/],
      [call('ADD', container('c1'), JSON.stringify({ cniVersion: '1.0.0', name: 'a b' })), 7, /name/],
      [call('FROB', container('c1')), 4, /CNI_COMMAND is "FROB"/],
      [
        call('ADD', { ...container('c3'), CNI_ARGS: 'K8S_POD_NAMESPACE=default;K8S_POD_NAME=ghost' }),
        3,
        /pod default\/ghost does not exist/,
      ],
      [
        call('ADD', container('c3'), config('1.0.0', { ipam: { ipv4_pools: ['nowhere'] } })),
        101,
        /requested IPPool nowhere does not exist/,
      ],
      [call('ADD', container('c1'), config(), '/run/cali-lab/none.sock'), 11, /cali-node does not respond/],
    ];
    for (const [{ code, json }, cniCode, sentence] of refusals) {
      expect(code).toBe(1);
      expect(json).toMatchObject({ code: cniCode, msg: expect.stringMatching(sentence) });
    }
    expect(lab.sh('node1', 'calictl get ipamhandles; ip -br link | cut -d" " -f1')).toBe(before);
  });

  it('if port 179 is in use, the status says so, pods still work, and BGP starts when the port is free', async () => {
    await lab.ask({ do: 'node kill', name: 'node1' });
    const squatter = lab.follow(
      'node1',
      process.execPath,
      '-e',
      "require('net').createServer().listen(179, '::')",
    );
    await until('port 179 is in use', 5000, () => lab.sh('node1', 'ss -ltn').includes(':179'));
    await lab.ask({ do: 'node start', name: 'node1' });
    const status = lab.exec('node1', 'calictl', 'node', 'status');
    expect(status.code).toBe(1);
    expect(status.stdout).toMatch(
      /The BGP speaker is not running: BGP cannot listen on :: port 179: TCP port 179 is taken by another program/,
    );
    expect(call('ADD', container('c3')).code).toBe(0);
    await squatter.stop();
    await until('BGP has no error', 10_000, () => lab.status('node1').bgp.error === undefined);
  });

  it('--cleanup removes everything of Cali’s and nothing else', async () => {
    lab.sh('node1', 'ip route add 10.60.0.0/16 via 172.18.0.1 proto static');
    await lab.ask({ do: 'node stop', name: 'node1' });
    const { code, stdout } = lab.exec('node1', process.execPath, `${root}/dist/cali-node.js`, '--cleanup');
    expect(code).toBe(0);
    expect(stdout).toContain(`link del dev ${veth('c1')}`);
    expect(
      lab.sh(
        'node1',
        'ip route show proto 161; ip route show proto 162; ip -6 route show proto 161; ip -br link | grep cali || true',
      ),
    ).toBe('');
    expect(lab.sh('node1', 'ip route show proto static')).toContain('10.60.0.0/16');
  });
});
