/** The kernel port over netlink against the real kernel, compared with `ip -j` and `bridge -j`. */
import { spawn } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { KernelChange } from '../../kernel/change.ts';
import { linuxKernel } from '../../kernel/linux.ts';
import type { Kernel, KernelState } from '../../kernel/port.ts';
import { silentLog } from '../../lib/log.ts';
import { addressesByIp, forwardingByBridge, observeByIp, vxlansByIp } from '../helpers/ip-json.ts';
import { until } from '../helpers/lab.ts';
import { NetworkNamespace } from '../helpers/network-namespace.ts';

const FAMILIES = [4, 6] as const;

let netns: NetworkNamespace;
let kernel: Kernel;
beforeEach(() => {
  netns = new NetworkNamespace();
  kernel = linuxKernel(silentLog, { netns: netns.path });
});
afterEach(() => {
  kernel.close();
  netns.remove();
});

/** One change of every kind that Cali makes, in an order that works. */
const changes: readonly KernelChange[] = [
  vxlan('vxlan.cali', '10.1.0.1'),
  { object: 'link', verb: 'set', name: 'vxlan.cali', mtu: 1400, mac: '66:00:00:00:00:02', isUp: true },
  { object: 'address', verb: 'add', cidr: '10.1.0.1/24', device: 'vxlan.cali' },
  { object: 'address', verb: 'add', cidr: '10.244.0.1/32', device: 'vxlan.cali', isLinkScope: true },
  { object: 'address', verb: 'add', cidr: 'fd00::1/64', device: 'vxlan.cali', hasNoDad: true },
  {
    object: 'address',
    verb: 'add',
    cidr: 'fd00::2/128',
    device: 'vxlan.cali',
    hasNoDad: true,
    isDeprecated: true,
  },
  neighbour('10.1.0.2'),
  neighbour('fd00::3'),
  { object: 'forwarding', verb: 'replace', mac: '66:00:00:00:00:03', device: 'vxlan.cali', node: '10.9.0.2' },
  route('10.244.1.0/26', [{ gateway: '10.1.0.2', device: 'vxlan.cali', isOnlink: true }]),
  route('10.244.2.0/26', [{ gateway: undefined, device: 'vxlan.cali' }], '10.1.0.1'),
  route('10.244.3.0/26', [
    { gateway: '10.1.0.2', device: 'vxlan.cali' },
    { gateway: '10.1.0.3', device: 'vxlan.cali' },
  ]),
  route('fd00:1::/122', [{ gateway: 'fd00::3', device: 'vxlan.cali' }]),
  route('10.244.4.0/26', [{ gateway: 'fd00::3', device: 'vxlan.cali' }]),
  { ...route('10.244.5.0/26', []), type: 'blackhole' },
  { ...route('fd00:5::/122', []), type: 'blackhole', metric: 77 },
];

describe('the kernel over netlink', () => {
  it('Every kind of change is applied, and read as ip -j reads it.', async () => {
    expect(await kernel.apply(changes)).toEqual([]);
    // Objects of other programs.
    netns.batch([
      'link add br0 type bridge',
      'link add veth0 mtu 1400 type veth peer name veth1',
      'address add 192.0.2.1 peer 192.0.2.2/32 dev veth0',
      'link set veth0 up',
      'link set veth1 up',
      'route add 198.51.100.0/24 dev veth0',
      'route add unreachable 203.0.113.0/24 metric 9',
      'route add prohibit 2001:db8:1::/48',
      'route add default via 192.0.2.2 proto static',
      'neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev veth0',
      'neigh add 192.0.2.10 lladdr 02:00:00:00:00:0a dev veth0 nud stale',
      'route add 10.50.0.0/16 dev veth0 table 100',
    ]);
    await quiet();
    expect(sorted(await kernel.observe(FAMILIES))).toEqual(sorted(observeByIp(netns.name, FAMILIES)));
    expect(sorted(await kernel.observe([4]))).toEqual(sorted(observeByIp(netns.name, [4])));
    expect(await kernel.readAddresses()).toEqual(addressesByIp(netns.name));
    expect(await kernel.readVxlans()).toEqual(vxlansByIp(netns.name));
    expect((await kernel.readVxlans()).get('vxlan.cali')).toEqual({
      vni: 4096,
      port: 4789,
      local: '10.1.0.1',
    });
    expect(await kernel.readForwarding('vxlan.cali')).toEqual(forwardingByBridge(netns.name, 'vxlan.cali'));
    expect(await kernel.readForwarding('vxlan.cali')).toEqual(new Map([['66:00:00:00:00:03', '10.9.0.2']]));
    expect(await kernel.pods.vethNames()).toEqual(new Set(['veth0', 'veth1']));
  });

  it('Every kind of object is removed again.', async () => {
    const before = sorted(await kernel.observe(FAMILIES));
    expect(await kernel.apply(changes)).toEqual([]);
    const removals = [...changes].reverse().flatMap(removalOf);
    expect(await kernel.apply(removals)).toEqual([]);
    expect(sorted(await kernel.observe(FAMILIES))).toEqual(before);
  });

  it('Refused changes are returned with the kernel’s code and words, and the others are applied.', async () => {
    expect(await kernel.apply(changes)).toEqual([]);
    const taken: KernelChange = { ...route('10.244.1.0/26', []), verb: 'add', type: 'blackhole' };
    const fresh = route('10.244.9.0/26', [{ gateway: undefined, device: 'vxlan.cali' }]);
    const nowhere = route('10.244.8.0/26', [{ gateway: undefined, device: 'cali1' }]);
    const unreachable = route('10.244.7.0/26', [{ gateway: '172.31.0.1', device: undefined }]);
    const absent: KernelChange = { ...route('10.244.6.0/26', []), verb: 'del' };
    const errors = await kernel.apply([
      taken,
      nowhere,
      unreachable,
      absent,
      vxlan('vxlan.cali', '1.2.3.4'),
      fresh,
    ]);
    expect(errors.map(({ change, code }) => [change, code])).toEqual([
      [taken, 'EEXIST'],
      [nowhere, 'ENODEV'],
      [unreachable, 'ENETUNREACH'],
      [absent, 'ESRCH'],
      [vxlan('vxlan.cali', '1.2.3.4'), 'EEXIST'],
    ]);
    expect(errors[1]?.message).toBe('Cannot find device "cali1"');
    expect(netns.ip('route show 10.244.9.0/26')).toContain('dev vxlan.cali');
  });

  it('Route queries name the source and the path, or the kernel’s refusal.', async () => {
    expect(await kernel.apply(changes)).toEqual([]);
    expect(await kernel.sourceOfPacketsTo('10.1.0.77')).toBe('10.1.0.1');
    expect(await kernel.sourceOfPacketsTo('172.31.0.1')).toBeUndefined();
    expect(await kernel.sourceOfPacketsTo('x')).toBeUndefined();
    expect(await kernel.routeText('10.244.1.5')).toBe('10.244.1.5 via 10.1.0.2 dev vxlan.cali src 10.1.0.1');
    expect(await kernel.routeText('172.31.0.1')).toBe('Network is unreachable');
  });

  it('A route for one type of service or one source is not observed: deleting it would delete another.', async () => {
    netns.batch([
      'link add t0 type veth peer name t1',
      'link set lo up',
      'link set t0 up',
      'link set t1 up',
      'route add 10.244.0.5 dev t0 proto 161',
      'route add 10.244.0.5 tos 0x08 dev t0 proto 161',
      'route add unreachable 10.244.0.6 tos 0x10 proto 161',
      'route add fd00::5 dev t0 proto 161',
      'route add fd00::5 from fd00:9::/64 dev t0 proto 161',
    ]);
    const { routes } = await kernel.observe(FAMILIES);
    const ours = routes.filter(({ protocol }) => protocol === 161);
    expect(ours.map(({ destination }) => destination)).toEqual(['10.244.0.5/32', 'fd00::5/128']);
  });

  it('An alternative name of an interface is not taken for the interface of this name.', async () => {
    netns.batch(['link add t0 type veth peer name t1', 'link property add dev t0 altname vxlan.cali']);
    const address: KernelChange = {
      object: 'address',
      verb: 'add',
      cidr: '10.1.0.1/24',
      device: 'vxlan.cali',
    };
    expect(await kernel.apply([address])).toEqual([
      { change: address, code: 'ENODEV', message: 'Cannot find device "vxlan.cali"' },
    ]);
    expect(await kernel.pods.deleteVeth('vxlan.cali')).toEqual({ isGone: true });
    expect((await kernel.observe([4])).links.has('t0')).toBe(true);
  });

  it('A route is never observed without its interface while pods come and go.', async () => {
    const lines = Array.from({ length: 150 }, (_, i) => [
      `link add cali${i} type veth peer name w${i}`,
      `link set cali${i} up`,
      `route add 10.244.0.${i} dev cali${i}`,
    ]).flat();
    const other = spawn('ip', ['-n', netns.name, '-batch', '-'], { stdio: ['pipe', 'ignore', 'ignore'] });
    const ended = new Promise((resolve) => other.on('close', resolve));
    other.stdin.end(`${lines.join('\n')}\n`);
    let isRunning = true;
    void ended.then(() => {
      isRunning = false;
    });
    let observed = 0;
    do {
      const { routes, links } = await kernel.observe([4]);
      observed = routes.length;
      const devices = routes.flatMap(({ hops }) => hops.flatMap(({ device }) => device ?? []));
      expect(devices.filter((device) => !links.has(device))).toEqual([]);
    } while (isRunning || observed < 150);
  });

  it('A node with 10,000 links is read completely.', async () => {
    netns.batch(Array.from({ length: 5000 }, (_, i) => `link add v${i} type veth peer name w${i}`));
    const state = await kernel.observe(FAMILIES);
    expect(state.links.size).toBe(10_001);
    expect(await kernel.pods.vethNames()).toHaveProperty('size', 10_000);
  });
});

describe('pods', () => {
  it('A pod’s pair is created, and its namespace configured, without a process.', async () => {
    const pod = new NetworkNamespace();
    const { pods } = kernel;
    const inside = pods.enter(pod.path, [{ path: 'net/ipv4/ip_forward', value: '0' }]);
    const session = pods.openSession();
    expect(await session.apply(pair(pod.path))).toEqual([]);
    const [again] = await session.apply(pair(pod.path));
    expect(again?.code).toBe('EEXIST');
    const device = { name: 'cali0', index: 1_234_567 };
    expect(
      await session.apply([
        { object: 'neighbour', verb: 'replace', address: '10.244.0.5', device: device.name, mac: POD_MAC },
        route('10.244.0.5/32', [{ gateway: undefined, device: device.name }]),
      ]),
    ).toEqual([]);
    const changes: KernelChange[] = [
      { object: 'link', verb: 'set', name: 'lo', isUp: true },
      { object: 'address', verb: 'add', cidr: '10.244.0.5/32', device: 'eth0' },
      { object: 'link', verb: 'set', name: 'eth0', isUp: true },
      route('169.254.1.1/32', [{ gateway: undefined, device: 'eth0' }]),
      route('0.0.0.0/0', [{ gateway: '169.254.1.1', device: 'eth0' }]),
    ];
    const indexes = new Map([
      ['lo', 1],
      ['eth0', 1_234_568],
    ]);
    expect(await inside.apply(changes, indexes)).toEqual([]);
    expect(pod.ip('link show eth0')).toContain('1234568: eth0@if1234567');
    // Without the indexes, they are looked up.
    const later = pods.enter(pod.path, []);
    expect((await later.apply(changes, new Map())).map(({ code }) => code)).toEqual(['EEXIST']);
    expect(netns.ip('link show cali0')).toContain(`${device.index}: cali0@`);
    expect(pod.ip('route show default')).toContain('via 169.254.1.1 dev eth0');
    expect(pod.ip('link show eth0')).toContain('LOWER_UP');
    expect(await pods.silenceVeth('cali0')).toBe(true);
    expect(pod.ip('link show eth0')).toContain('NO-CARRIER');
    expect(netns.ip('route show 10.244.0.5')).toBe('');
    expect(await pods.deleteVeth('cali0')).toEqual({ isGone: true });
    expect(await pods.deleteVeth('cali0')).toEqual({ isGone: true });
    expect(await pods.silenceVeth('cali0')).toBe(true);
    netns.ip('link add br0 type bridge');
    expect(await pods.silenceVeth('br0')).toBe(true);
    expect(await pods.deleteVeth('br0')).toEqual({ isGone: false });
    pod.remove();
  });

  it('A namespace that disappears halfway is an error of that pod alone.', async () => {
    const pod = new NetworkNamespace();
    const { pods } = kernel;
    const session = pods.openSession();
    expect(await session.apply(pair(pod.path))).toEqual([]);
    pod.remove();
    await until(
      'the pair is gone with the namespace',
      5000,
      async () => !(await pods.vethNames()).has('cali0'),
    );
    const late = pods.enter(pod.path, []);
    await expect(late.apply([], new Map())).rejects.toThrow(/cannot be opened/);
    const [error] = await session.apply([route('10.244.0.5/32', [{ gateway: undefined, device: 'cali0' }])]);
    expect(error?.code).toBe('ENODEV');
    const [second] = await session.apply(pair(pod.path));
    expect(second?.message).toContain('Cannot open network namespace');
    expect(await kernel.apply([vxlan('vxlan.cali', '10.1.0.1')])).toEqual([]);
  });
});

describe('events', () => {
  it('Lost notifications are one relevant event, and later changes are events again.', async () => {
    kernel.close();
    kernel = linuxKernel(silentLog, { netns: netns.path, receiveBuffer: 4096 });
    let events = 0;
    let relevant = 0;
    const watcher = kernel.watch(({ isRelevant }) => {
      events++;
      if (isRelevant) relevant++;
    });
    const routes = Array.from({ length: 2000 }, (_, i) => ({
      ...route(`10.99.${i >> 8}.${i & 255}/32`, []),
      type: 'blackhole' as const,
    }));
    await kernel.apply(routes);
    await until('an event', 5000, () => relevant > 0);
    expect(events).toBeLessThan(2000);
    const before = relevant;
    await new Promise((resolve) => setTimeout(resolve, 100));
    netns.ip('route del blackhole 10.99.0.1');
    await until('an event after the loss', 5000, () => relevant > before);
    watcher.close();
  });
});

const POD_MAC = '66:00:00:00:00:0a';

function vxlan(name: string, local: string): KernelChange {
  return { object: 'link', verb: 'add', name, kind: { type: 'vxlan', vni: 4096, port: 4789, local } };
}

function neighbour(address: string): KernelChange {
  return { object: 'neighbour', verb: 'replace', address, device: 'vxlan.cali', mac: '66:00:00:00:00:05' };
}

function route(
  destination: string,
  hops: Extract<KernelChange, { object: 'route' }>['hops'],
  source?: string,
): Extract<KernelChange, { object: 'route' }> {
  return { object: 'route', verb: 'replace', destination, type: 'unicast', protocol: 161, source, hops };
}

function pair(path: string): KernelChange[] {
  return [
    {
      object: 'link',
      verb: 'add',
      name: 'cali0',
      index: 1_234_567,
      mac: 'ee:ee:ee:ee:ee:ee',
      mtu: 1400,
      kind: { type: 'veth', peer: { name: 'eth0', index: 1_234_568, mac: POD_MAC, mtu: 1400, netns: path } },
    },
    { object: 'link', verb: 'set', name: 'cali0', isUp: true },
  ];
}

function removalOf(change: KernelChange): KernelChange[] {
  if (change.object !== 'link') return [{ ...change, verb: 'del' }];
  return change.verb === 'add' ? [{ object: 'link', verb: 'del', name: change.name }] : [];
}

/** Waits until the kernel makes no more changes of its own, such as the end of duplicate address detection. */
async function quiet(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 2500));
}

function sorted({ links, addresses, routes, neighbours }: KernelState) {
  const byText = (list: readonly object[]) => list.map((one) => JSON.stringify(one, keys(one))).sort();
  return {
    links: byText([...links.values()]),
    addresses: byText(addresses),
    routes: byText(routes),
    neighbours: byText(neighbours),
  };
}

/** Names of all properties in one order, also of the objects inside. */
function keys(one: object): string[] {
  const names = new Set<string>();
  JSON.stringify(one, (name, value: unknown) => {
    names.add(name);
    return value;
  });
  return [...names].sort();
}
