import { beforeEach, describe, expect, it } from 'vitest';
import { HOST_MAC, podInterfaceName, podMac } from '../../../model/endpoint.ts';
import { CniWorld, netnsOf } from '../../helpers/cni-world.ts';

const IFACE = podInterfaceName('default', 'web');
let world: CniWorld;
beforeEach(async () => {
  world = await CniWorld.open();
  await world.createPod('web');
  world.createContainer('c1');
});

interface Result {
  readonly ips: readonly { readonly address: string }[];
}
const addressesOf = (output: string) =>
  (JSON.parse(output) as Result).ips.map(({ address }) => address.split('/')[0]!);
const messageOf = (output: string) => (JSON.parse(output) as { msg: string }).msg;

describe('ADD', () => {
  it('creates the pair, the host’s routes and the pod’s addresses, routes and sysctls', async () => {
    const { exitCode, output } = await world.call('ADD', 'c1', 'web');
    expect(exitCode).toBe(0);
    const [v4, v6] = addressesOf(output);
    const mac = podMac('c1', 'eth0');
    const index = world.kernel.network.links.get(IFACE)?.index ?? 0;
    const changes = world.takeChanges();
    expect(new Set(changes)).toEqual(
      new Set([
        `link add name ${IFACE} index ${index} address ${HOST_MAC} mtu 1450 type veth peer name eth0 index ${index ^ 1} address ${mac} mtu 1450 netns ${netnsOf('c1')}`,
        `link set dev ${IFACE} up`,
        `neigh replace ${v4} lladdr ${mac} dev ${IFACE} nud permanent`,
        `neigh replace ${v6} lladdr ${mac} dev ${IFACE} nud permanent`,
        `route add ${v4}/32 dev ${IFACE} scope link proto 161`,
        `route add ${v6}/128 dev ${IFACE} proto 161`,
        'link set dev lo up',
        `address add ${v4}/32 dev eth0`,
        `address add ${v6}/128 dev eth0 nodad`,
        'link set dev eth0 up',
        'route add 169.254.1.1/32 dev eth0 scope link proto 3',
        'route add 0.0.0.0/0 via 169.254.1.1 dev eth0 proto 3',
        'route add ::/0 via fe80::ecee:eeff:feee:eeee dev eth0 proto 3',
      ]),
    );
    expect(changes).toHaveLength(13);
    expect(world.kernel.sysctl(`net/ipv4/conf/${IFACE}/rp_filter`, IFACE)).toBe('1');
    expect(world.kernel.pods.sysctls.get(netnsOf('c1'))).toContainEqual({
      path: 'net/ipv4/ip_forward',
      value: '0',
    });
    expect(world.violations({ isExact: true })).toEqual([]);
  });

  it('repeated for a container, changes nothing and has the same answer', async () => {
    const first = await world.call('ADD', 'c1', 'web');
    world.takeChanges();
    expect(await world.call('ADD', 'c1', 'web')).toEqual(first);
    expect(world.takeChanges()).toEqual([]);
  });

  it('replaces the pair that an earlier ADD left behind', async () => {
    world.fault = (_, what) => (what.startsWith('neigh') ? 'agent dies' : undefined);
    expect((await world.call('ADD', 'c1', 'web')).exitCode).toBe(1);
    expect(world.kernel.network.links.has(IFACE)).toBe(true);
    world.fault = () => undefined;
    world.endContainer('c1');
    world.createContainer('c2');
    await world.restart();
    expect((await world.call('ADD', 'c2', 'web')).exitCode).toBe(0);
    expect(world.violations({ isExact: false })).toEqual([]);
    expect((await world.call('DEL', 'c1', 'web')).exitCode).toBe(0);
    expect(world.violations({ isExact: true })).toEqual([]);
  });

  it('removes the former container of its pod', async () => {
    await world.call('ADD', 'c1', 'web');
    world.createContainer('c2');
    expect((await world.call('ADD', 'c2', 'web')).exitCode).toBe(0);
    expect(world.endpoints.map(({ containerId }) => containerId)).toEqual(['c2']);
    expect(world.violations({ isExact: true })).toEqual([]);
    // The runtime deletes the former container later.
    expect((await world.call('DEL', 'c1', 'web')).exitCode).toBe(0);
    expect(world.violations({ isExact: true })).toEqual([]);
  });

  it('keeps another program’s interface of the same name, and fails', async () => {
    world.kernel.network.createCard(IFACE, '02:00:00:00:00:99');
    const { exitCode, output } = await world.call('ADD', 'c1', 'web');
    expect([exitCode, messageOf(output)]).toEqual([1, expect.stringContaining('exists and is not Cali')]);
    expect(world.kernel.network.links.get(IFACE)?.mac).toBe('02:00:00:00:00:99');
    expect(world.leftovers()).toEqual([`link ${IFACE}`]);
  });

  it('keeps another program’s route to its address, and fails', async () => {
    await world.createPod('fixed', { 'cni.projectcalico.org/ipAddrs': '["10.2.0.7"]' });
    const theirs = { destination: '10.2.0.7/32', type: 'unicast', protocol: 4 } as const;
    world.kernel.change({
      ...{ object: 'route', verb: 'add', ...theirs },
      hops: [{ gateway: undefined, device: 'eth0' }],
    });
    const { exitCode, output } = await world.call('ADD', 'c1', 'fixed', { ipam: { assign_ipv6: 'false' } });
    expect([exitCode, messageOf(output)]).toEqual([
      1,
      'another program (proto static) has a route to 10.2.0.7/32: remove it, or reserve the address',
    ]);
    expect(world.kernel.network.routes.filter(({ protocol }) => protocol === 4)).toMatchObject([theirs]);
    expect(world.leftovers()).toEqual([]);
  });

  it('replaces a route of Cali to its address', async () => {
    await world.createPod('fixed', { 'cni.projectcalico.org/ipAddrs': '["10.2.0.7"]' });
    world.kernel.change({
      ...{ object: 'route', verb: 'add', destination: '10.2.0.7/32', type: 'unicast', protocol: 161 },
      hops: [{ gateway: undefined, device: 'eth0' }],
    });
    expect((await world.call('ADD', 'c1', 'fixed', { ipam: { assign_ipv6: 'false' } })).exitCode).toBe(0);
    expect(world.violations({ isExact: true })).toEqual([]);
  });

  it('is refused without a pod or a namespace, and nothing is created', async () => {
    expect(messageOf((await world.call('ADD', 'c1', 'gone')).output)).toMatch(/does not exist in the API/);
    expect(messageOf((await world.call('ADD', 'c9', 'web')).output)).toMatch(/network namespace .* does not/);
    expect(world.leftovers()).toEqual([]);
  });
});

describe('DEL', () => {
  it('removes everything, and succeeds again', async () => {
    await world.call('ADD', 'c1', 'web');
    for (const _ of [1, 2]) {
      expect((await world.call('DEL', 'c1', 'web')).exitCode).toBe(0);
      await world.settle();
      expect(world.leftovers()).toEqual([]);
    }
  });

  it('answers once the pod is silent and its addresses are free; the interface and the handle follow', async () => {
    await world.call('ADD', 'c1', 'web');
    world.trace = [];
    await world.call('DEL', 'c1', 'web');
    expect(world.trace).toEqual([
      'write c1.eth0.json',
      `link set dev ${IFACE} down`,
      ...['update', 'update'],
    ]);
    expect(world.kernel.network.links.get(IFACE)?.isUp).toBe(false);
    expect(world.allocations()).toEqual([]);
    expect(world.endpoints).toEqual([]);
    await world.settle();
    expect(world.leftovers()).toEqual([]);
  });

  it('is completed by the next agent', async () => {
    await world.call('ADD', 'c1', 'web');
    await world.call('DEL', 'c1', 'web');
    await world.restart();
    expect(world.endpoints).toEqual([]);
    await world.settle();
    expect(world.leftovers()).toEqual([]);
  });

  it('retries in the background while the API server does not respond', async () => {
    await world.call('ADD', 'c1', 'web');
    await world.call('DEL', 'c1', 'web');
    world.fault = () => 'refused';
    await world.settle();
    expect(world.leftovers()).toContain('file c1.eth0.json');
    world.fault = () => undefined;
    await world.settle();
    expect(world.leftovers()).toEqual([]);
  });

  it('fails when the kernel refuses both to silence and to remove the interface, and keeps the addresses', async () => {
    await world.call('ADD', 'c1', 'web');
    world.fault = (_, what) => (what.startsWith('link') ? 'refused' : undefined);
    expect((await world.call('DEL', 'c1', 'web')).exitCode).toBe(1);
    expect(world.allocations()).toHaveLength(2);
    world.fault = () => undefined;
    await world.settle();
    expect(world.leftovers()).toEqual([]);
  });

  it('lets the pod’s next container have its interface only when the former one is gone', async () => {
    await world.call('ADD', 'c1', 'web');
    world.createContainer('c2');
    await world.call('DEL', 'c1', 'web');
    expect((await world.call('ADD', 'c2', 'web')).exitCode).toBe(0);
    await world.settle();
    expect(world.violations({ isExact: true })).toEqual([]);
    expect(world.endpoints.map(({ containerId }) => containerId)).toEqual(['c2']);
  });

  it('leaves the interface of a later ADD of the same container alone', async () => {
    for (const command of ['ADD', 'DEL', 'ADD']) await world.call(command, 'c1', 'web');
    await world.settle();
    expect(world.endpoints).toHaveLength(1);
    expect(world.violations({ isExact: true })).toEqual([]);
  });

  it('succeeds when the container’s namespace is gone', async () => {
    await world.call('ADD', 'c1', 'web');
    world.endContainer('c1');
    expect((await world.call('DEL', 'c1', 'web')).exitCode).toBe(0);
    await world.settle();
    expect(world.leftovers()).toEqual([]);
  });

  it('succeeds after a restart of the agent', async () => {
    await world.call('ADD', 'c1', 'web');
    await world.restart();
    expect((await world.call('DEL', 'c1', 'web')).exitCode).toBe(0);
    await world.settle();
    expect(world.leftovers()).toEqual([]);
  });
});

describe('CHECK', () => {
  it('succeeds after ADD, and names what another program removed', async () => {
    await world.call('ADD', 'c1', 'web');
    expect((await world.call('CHECK', 'c1', 'web')).exitCode).toBe(0);
    const [address] = world.endpoints[0]!.addresses;
    world.kernel.change({
      ...{ object: 'route', verb: 'del', destination: `${address}/32`, type: 'unicast', protocol: 161 },
      hops: [],
    });
    const { exitCode, output } = await world.call('CHECK', 'c1', 'web');
    expect([exitCode, messageOf(output)]).toEqual([1, `no route to ${address} through ${IFACE}`]);
  });
});

describe('GC', () => {
  it('removes the attachments that the runtime does not list, and no others', async () => {
    for (const name of ['a', 'b', 'c']) {
      await world.createPod(name);
      world.createContainer(name);
      await world.call('ADD', name, name);
    }
    expect((await world.collect(['b'])).exitCode).toBe(0);
    expect(world.endpoints.map(({ containerId }) => containerId)).toEqual(['b']);
    expect(world.violations({ isExact: true })).toEqual([]);
  });
});

describe('calls at once', () => {
  it.each([
    ['ADD', 'DEL'],
    ['DEL', 'ADD'],
  ])('%s and %s of one container leave its endpoint whole or nothing', async (...commands) => {
    await Promise.all(commands.map((command) => world.call(command, 'c1', 'web')));
    await world.settle();
    expect(world.violations({ isExact: true })).toEqual([]);
    expect(world.endpoints).toHaveLength(commands[1] === 'ADD' ? 1 : 0);
    await world.call('DEL', 'c1', 'web');
    await world.settle();
    expect(world.leftovers()).toEqual([]);
  });

  it('two containers of one pod do not share its interface', async () => {
    world.createContainer('c2');
    const answers = await Promise.all(['c1', 'c2'].map((container) => world.call('ADD', container, 'web')));
    expect(answers.map(({ exitCode }) => exitCode).sort((a, b) => a - b)).toEqual([0, 1]);
    expect(world.violations({ isExact: true })).toEqual([]);
  });

  it('many pods get different addresses', async () => {
    const names = Array.from({ length: 40 }, (_, i) => `p${i}`);
    for (const name of names) {
      await world.createPod(name);
      world.createContainer(name);
    }
    const answers = await Promise.all(names.map((name) => world.call('ADD', name, name)));
    const addresses = answers.flatMap(({ output }) => addressesOf(output));
    expect(new Set(addresses).size).toBe(80);
    expect(world.violations({ isExact: true })).toEqual([]);
  });
});
