/** Each part of the dataplane on a fake kernel: what it plans, and that nothing is left to do after it has applied. */
import { describe, expect, it } from 'vitest';
import { ownTable } from '../../../felix/calc/ruleset.ts';
import { addresses } from '../../../felix/dataplane/addresses.ts';
import type { DesiredDataplane } from '../../../felix/dataplane/desired.ts';
import { LinkObjects } from '../../../felix/dataplane/link-objects.ts';
import { neighbours } from '../../../felix/dataplane/neighbours.ts';
import type { Part } from '../../../felix/dataplane/part.ts';
import { Routes } from '../../../felix/dataplane/routes.ts';
import { Sysctls } from '../../../felix/dataplane/sysctls.ts';
import { Tables } from '../../../felix/dataplane/tables.ts';
import { Tunnels } from '../../../felix/dataplane/tunnels.ts';
import type { Tunnel } from '../../../ipip/device-plan.ts';
import type { KernelChange } from '../../../kernel/change.ts';
import { Nftables } from '../../../kernel/nftables.ts';
import { silentLog } from '../../../lib/log.ts';
import { type Endpoint, HOST_MAC } from '../../../model/endpoint.ts';
import type { Route } from '../../../model/route.ts';
import type { FakeKernel } from '../../helpers/fake-kernel.ts';
import { PartWorld } from '../../helpers/part-world.ts';

const mac = '02:00:00:00:00:01';
const otherMac = '02:00:00:00:00:09';
const pod = 'cali00000000001';
const endpoint: Endpoint = {
  ...{ containerId: 'c', containerInterface: 'eth0', network: 'n', netns: '/x', mtu: 1500 },
  ...{ interfaceName: pod, mac, addresses: ['10.1.0.1', 'fd00::1'] },
};
const podRoute: Route = {
  ...{ destination: '10.1.0.1/32', type: 'unicast', protocol: 'local', device: pod, gateways: [] },
};
const blockRoute: Route = {
  ...{ destination: '10.2.0.0/26', type: 'unicast', protocol: 'bgp' },
  ...{ device: undefined, gateways: ['10.0.0.2'] },
};
const vxlan = {
  ...{ vni: 4096, port: 4789, local: '10.0.0.1', mac },
  remotes: [{ address: '10.3.0.2', mac: otherMac, node: '10.0.0.2' }],
};
const tunnel: Tunnel = {
  ...{ kind: 'vxlan4', address: '10.3.0.1', mtu: 1450 },
  vxlan,
};
const rules = ['table inet cali {', '}'];
const ruleset = { whole: rules, guard: rules, nat: rules };

const up = (name: string): KernelChange => ({ object: 'link', verb: 'set', name, isUp: true });
const addressOn = (device: string, cidr: string): KernelChange => ({
  ...{ object: 'address', verb: 'add', cidr, device },
});
const neighbourOn = (device: string, address: string): KernelChange => ({
  ...{ object: 'neighbour', verb: 'replace', address, device, mac: otherMac },
});
const routeVia = (destination: string, protocol: number): KernelChange => ({
  ...{ object: 'route', verb: 'add', destination, type: 'unicast', protocol },
  hops: [{ gateway: '10.0.0.9', device: 'eth0' }],
});

/** Gives the kernel an uplink and a pod's interface. */
function prepare({ network }: FakeKernel, ...changes: readonly KernelChange[]): void {
  network.createCard('eth0', '02:00:00:00:01:01');
  network.createCard(pod, HOST_MAC);
  for (const change of [up('eth0'), up(pod), addressOn('eth0', '10.0.0.1/24'), ...changes])
    expect(network.apply(change)).toBeUndefined();
}

interface Case {
  readonly title: string;
  readonly make: (kernel: FakeKernel) => Part;
  readonly present: readonly KernelChange[];
  readonly desired: Partial<DesiredDataplane>;
  readonly pending: readonly string[];
  /** One of the keys, and what is pending for it. */
  readonly one: readonly [key: string, ...pending: string[]];
}

const cases: readonly Case[] = [
  {
    title: 'routes are added, replaced and removed; those of other programs stay',
    make: (kernel) => new Routes(kernel),
    present: [routeVia('10.2.0.0/26', 162), routeVia('10.9.0.0/26', 162), routeVia('10.8.0.0/26', 4)],
    desired: { routes: [podRoute, blockRoute] },
    pending: [
      'route del 10.9.0.0/26 proto 162',
      `route add 10.1.0.1/32 dev ${pod} scope link proto 161`,
      'route replace 10.2.0.0/26 via 10.0.0.2 dev eth0 proto 162',
    ],
    one: ['10.9.0.0/26', 'route del 10.9.0.0/26 proto 162'],
  },
  {
    title: 'neighbours of pods are set, those of no pod are removed, and those of other interfaces stay',
    make: (kernel) => new LinkObjects(neighbours, kernel),
    present: [neighbourOn(pod, '10.1.0.1'), neighbourOn(pod, '10.1.0.7'), neighbourOn('eth0', '10.0.0.7')],
    desired: { endpoints: [endpoint] },
    pending: [
      `neigh replace 10.1.0.1 lladdr ${mac} dev ${pod} nud permanent`,
      `neigh replace fd00::1 lladdr ${mac} dev ${pod} nud permanent`,
      `neigh del 10.1.0.7 dev ${pod}`,
    ],
    one: [`10.1.0.7 ${pod}`, `neigh del 10.1.0.7 dev ${pod}`],
  },
  {
    title:
      'addresses are added to existing interfaces of pods and removed there; those of other interfaces stay',
    make: (kernel) => new LinkObjects(addresses, kernel),
    present: [addressOn(pod, '169.254.9.9/32')],
    desired: {
      addresses: [pod, 'cali00000000002'].map((device) => ({ device, cidr: '169.254.9.1/32' })),
    },
    pending: [`address add 169.254.9.1/32 dev ${pod}`, `address del 169.254.9.9/32 dev ${pod}`],
    one: [`169.254.9.9/32 ${pod}`, `address del 169.254.9.9/32 dev ${pod}`],
  },
  {
    title: 'a tunnel device is created with its address, neighbours and forwarding entries',
    make: (kernel) => new Tunnels('n1', kernel),
    present: [],
    desired: { tunnels: [tunnel] },
    pending: [
      `link add name vxlan.cali address ${mac} mtu 1450 type vxlan id 4096 dstport 4789 local 10.0.0.1 nolearning`,
      'link set dev vxlan.cali up',
      'address add 10.3.0.1/32 dev vxlan.cali scope link',
      `neigh replace 10.3.0.2 lladdr ${otherMac} dev vxlan.cali nud permanent`,
      `fdb replace ${otherMac} dev vxlan.cali dst 10.0.0.2 self permanent`,
    ],
    one: ['tunl0'],
  },
  {
    title: 'sysctls of the node and of interfaces that are up are set',
    make: (kernel) => new Sysctls({ kernel, log: silentLog }),
    present: [],
    desired: { endpoints: [endpoint, { ...endpoint, interfaceName: 'cali00000000002' }] },
    pending: ['sysctl node', `sysctl ${pod}`],
    one: [pod, `sysctl ${pod}`],
  },
];

describe('a part of the dataplane', () => {
  it.each(cases)('$title', async ({ make, present, desired, pending, one: [key, ...pendingOne] }) => {
    const world = new PartWorld(make);
    prepare(world.kernel, ...present);
    expect(world.want(desired)).not.toBe('none');
    expect(world.want(structuredClone(desired))).toBe('none');
    expect(await world.plan([key])).toEqual(pendingOne);
    expect(await world.pass()).toEqual(pending);
    expect(world.part.isFailed || world.part.isHeld).toBe(false);
    expect(world.problems()).toEqual([]);
    expect(await world.pass()).toEqual([]);
  });

  it.each(cases.filter(({ pending }) => !pending[0]?.startsWith('sysctl')))(
    'reports each object that the kernel refuses, waits after three attempts, and recovers: $title',
    async ({ make, present, desired, pending }) => {
      const world = new PartWorld(make);
      prepare(world.kernel, ...present);
      world.want(desired);
      world.kernel.refuse = () => ({ code: 'ENOBUFS', message: 'No buffer space available' });
      for (let attempt = 0; attempt < 3; attempt++) await world.pass();
      expect(world.part.isFailed).toBe(true);
      expect(world.part.problems(0).map(({ subject }) => subject?.replace(/^(ip|bridge) /, ''))).toEqual(
        pending,
      );
      world.kernel.changes.length = 0;
      await world.pass();
      expect(world.kernel.changes).toEqual([]);
      expect(world.part.isHeld).toBe(true);
      expect(world.problems()).toHaveLength(pending.length);
      world.kernel.refuse = () => undefined;
      world.now = 60_000;
      await world.pass();
      expect(world.problems()).toEqual([]);
      expect(await world.pass()).toEqual([]);
    },
  );
});

describe('routes', () => {
  it('of pods are confirmed later, because the CNI server has programmed them', () => {
    const world = new PartWorld((kernel) => new Routes(kernel));
    expect(world.want({ routes: [] })).toBe('now');
    expect(world.want({ routes: [podRoute] })).toBe('confirm');
    expect(world.want({ routes: [podRoute, blockRoute] })).toBe('now');
    expect(world.want({ routes: [blockRoute] })).toBe('confirm');
    expect(world.want({ routes: [blockRoute], isLearnedComplete: false })).toBe('now');
  });

  it('that are impossible have a reason each, which passes if an interface is awaited', async () => {
    const world = new PartWorld((kernel) => new Routes(kernel));
    prepare(world.kernel, routeVia('10.2.0.0/26', 4));
    const missing = { ...podRoute, destination: '10.1.0.2/32', device: 'cali00000000002' };
    world.want({ routes: [missing, blockRoute] });
    await world.pass();
    expect(world.part.problems(0)).toEqual([
      {
        ...{ object: 'route 10.1.0.2/32', reason: 'interface cali00000000002 is missing' },
        isPassing: true,
      },
      { object: 'route 10.2.0.0/26', reason: 'a route of another program has this prefix' },
    ]);
    world.want({ routes: [blockRoute] });
    await world.plan(['10.1.0.2/32']);
    expect(world.problems()).toEqual(['route 10.2.0.0/26: a route of another program has this prefix']);
  });

  it('that another program removes again and again are reported with what the kernel shows', async () => {
    const world = new PartWorld((kernel) => new Routes(kernel));
    prepare(world.kernel);
    world.want({ routes: [blockRoute] });
    for (let round = 0; round < 3; round++) {
      await world.pass();
      world.kernel.network.routes = world.kernel.network.routes.filter(
        ({ destination }) => destination !== blockRoute.destination,
      );
    }
    expect(await world.pass()).toHaveLength(1);
    expect(world.part.isHeld).toBe(true);
    expect(world.part.oscillating(0)).toEqual({ route: 1 });
    expect(world.part.problems(0)[0]?.reason).toContain('the kernel shows "no such route"');
    world.part.forget('eth0');
    expect(world.problems()).toEqual([]);
  });
});

describe('tunnels', () => {
  it('that the kernel refuses are missing with its message, are not a fault, and cannot be used', async () => {
    const world = new PartWorld((kernel) => new Tunnels('n1', kernel));
    prepare(world.kernel);
    world.want({ tunnels: [tunnel] });
    world.kernel.refuse = ({ object, verb }) =>
      object === 'link' && verb === 'add'
        ? { code: 'EOPNOTSUPP', message: 'Unknown device type' }
        : undefined;
    await world.plan();
    const context = { ...world.context, isUsable: (device: string) => world.part.isUsable(device) };
    await world.part.apply('first', context);
    expect(world.part.missing).toEqual({ vxlan4: 'Unknown device type' });
    expect(world.part.isUsable('vxlan.cali')).toBe(false);
    expect(world.part.isUsable('eth0')).toBe(true);
    expect([world.part.isFailed, world.part.isAwaited]).toEqual([false, false]);
    expect(world.problems()).toEqual([]);
  });

  it('remove what routes may still use in the last phase', async () => {
    const world = new PartWorld((kernel) => new Tunnels('n1', kernel));
    prepare(world.kernel);
    world.want({ tunnels: [tunnel] });
    await world.pass();
    world.want({ tunnels: [{ ...tunnel, vxlan: { ...vxlan, remotes: [] } }] });
    await world.plan();
    await world.part.apply('first', world.context);
    expect(world.kernel.network.links.get('vxlan.cali')?.forwarding.size).toBe(1);
    await world.part.apply('last', world.context);
    expect(world.kernel.network.links.get('vxlan.cali')?.forwarding.size).toBe(0);
    expect(world.part.isAwaited).toBe(false);
  });
});

describe('sysctls', () => {
  it('are checked again for a new interface, a flapping one, other sources, and at a full check', async () => {
    const world = new PartWorld((kernel) => new Sysctls({ kernel, log: silentLog }));
    prepare(world.kernel);
    world.want({ endpoints: [endpoint] });
    await world.pass();
    expect(world.kernel.sysctl(`net/ipv4/conf/${pod}/rp_filter`, pod)).toBe('1');
    world.part.forget(pod);
    expect(await world.pass()).toEqual([`sysctl ${pod}`]);
    expect(world.want({ endpoints: [{ ...endpoint, allowedSourcePrefixes: ['10.7.0.0/16'] }] })).toBe(
      'confirm',
    );
    expect(await world.pass()).toEqual([`sysctl ${pod}`]);
    expect(world.kernel.sysctl(`net/ipv4/conf/${pod}/rp_filter`, pod)).toBe('0');
    world.kernel.change({ object: 'link', verb: 'del', name: pod });
    expect(await world.pass()).toEqual([]);
    world.kernel.network.createCard(pod, HOST_MAC);
    world.kernel.change(up(pod));
    expect(await world.pass()).toEqual([`sysctl ${pod}`]);
    world.part.recheck();
    expect(await world.pass()).toEqual(['sysctl node', `sysctl ${pod}`]);
  });

  it('that another program resets are set less often and reported', async () => {
    const world = new PartWorld((kernel) => new Sysctls({ kernel, log: silentLog }));
    prepare(world.kernel);
    world.want({});
    for (let round = 0; round < 4; round++) {
      world.kernel.sysctls.set('net/ipv4/ip_forward', '0');
      world.part.recheck();
      await world.pass();
    }
    expect(world.part.isHeld).toBe(true);
    expect(world.part.oscillating(0)).toEqual({ sysctl: 1 });
    expect(world.part.problems(0).map(({ object }) => object)).toEqual([
      'sysctl net/ipv4/ip_forward',
      'sysctls of node',
    ]);
  });
});

describe('sysctls of an interface', () => {
  it('that is created again and again do not count as reset by another program', async () => {
    const world = new PartWorld((kernel) => new Sysctls({ kernel, log: silentLog }));
    prepare(world.kernel);
    world.want({ endpoints: [endpoint] });
    for (let round = 0; round < 5; round++) {
      await world.pass();
      expect(world.kernel.sysctl(`net/ipv4/conf/${pod}/rp_filter`, pod)).toBe('1');
      world.kernel.change({ object: 'link', verb: 'del', name: pod });
      world.kernel.network.createCard(pod, HOST_MAC);
      world.kernel.change(up(pod));
    }
    expect(world.part.problems(0)).toEqual([]);
  });
});

describe('the nftables table', () => {
  const make = (kernel: FakeKernel) => new Tables(new Nftables(ownTable, kernel.nft));

  it('is applied when it is new, and restored when another program changed it', async () => {
    const world = new PartWorld(make);
    expect(world.want({ ruleset })).toBe('now');
    expect(world.want({ ruleset })).toBe('none');
    await world.pass();
    expect(world.kernel.tables.get(ownTable.name)).toBe(rules.join('\n'));
    world.kernel.tables.delete(ownTable.name);
    await world.pass();
    expect(world.kernel.tables.has(ownTable.name)).toBe(false);
    world.now = 1_000;
    await world.pass();
    expect(world.kernel.tables.has(ownTable.name)).toBe(true);
  });

  it('is restored at every check, and reported when another program keeps changing it', async () => {
    const world = new PartWorld(make);
    world.want({ ruleset });
    for (let round = 0; round < 4; round++) {
      world.now += 1_000;
      await world.pass();
      world.kernel.tables.delete(ownTable.name);
    }
    expect(world.part.oscillating(world.now)).toEqual({ table: 1 });
    expect(world.problems()[0]).toContain('table inet cali is reverted repeatedly');
  });
});
