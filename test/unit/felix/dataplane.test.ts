/**
 * The dataplane's loop on a fake kernel: random desired states, pods that come and go, and other programs that change
 * the kernel at any moment. Whatever happens, the kernel converges to the desired state, and only our objects change.
 */
import { describe, expect, it, vi } from 'vitest';
import { ownTable } from '../../../felix/calc/ruleset.ts';
import { HOST_MAC, isOwnInterface } from '../../../model/endpoint.ts';
import { DEFAULT_PROTOCOLS } from '../../../model/route-protocols.ts';
import { tunnelKinds, tunnels } from '../../../model/tunnel.ts';
import { DataplaneWorld } from '../../helpers/dataplane-world.ts';

const STEPS = 200;
const noBuffers = { code: 'ENOBUFS', message: 'No buffer space available' };
const SEEDS = Array.from({ length: 8 }, (_, i) => i + 1);

describe('the dataplane on a fake kernel', () => {
  it.each(SEEDS)(
    'converges to the desired state and changes only its own objects (seed %i)',
    async (seed) => {
      const world = new DataplaneWorld(seed);
      vi.spyOn(Math, 'random').mockImplementation(world.random);
      const actions = [
        () => world.addPod(),
        () => world.deletePod(),
        () => world.changeRoutes(),
        () => world.changeTunnels(),
        () => world.changeRules(),
        () => world.interfere(),
        () => world.interfere(),
        () => world.interfere(),
      ];
      const act = () => actions[Math.floor(world.random() * actions.length)]!();
      // One step in four happens in the middle of an observation or a batch.
      world.kernel.pause = () => {
        if (world.random() < 0.02) act();
      };
      world.kernel.refuse = () => (world.random() < 0.01 ? noBuffers : undefined);
      for (let step = 0; step < STEPS; step++) {
        act();
        if (step === 50) world.converge();
        await world.pass(world.random() < 0.9 ? 20 : 400);
        expect(world.violations).toEqual([]);
      }
      world.kernel.pause = () => {};
      world.kernel.refuse = () => undefined;
      world.clearConflicts();
      world.calculate();
      // Objects that other programs kept changing are restored after a delay of minutes.
      await world.pass(30 * 60_000);
      expect(world.violations).toEqual([]);
      expect(world.dataplane.stats.problems).toEqual([]);
      expect(kernelOf(world)).toEqual(wantedBy(world));
      // Once it has converged, it changes nothing.
      const count = world.kernel.changes.length;
      await world.pass(5 * 60_000);
      expect(world.kernel.changes.slice(count)).toEqual([]);
      world.dataplane.close();
    },
  );

  it('informs its caller before the first change of a pass or after the last, never between', async () => {
    const world = new DataplaneWorld(1);
    world.converge();
    world.changeRoutes();
    await world.pass(20);
    const { events } = world;
    expect(events.filter((event, i) => event !== events[i - 1])).toEqual([
      'observed',
      'change',
      'applied',
      'guarded',
    ]);
    world.dataplane.close();
  });

  it('restores a route at once when another program removes it, but does not race with that program', async () => {
    const world = new DataplaneWorld(1);
    world.converge();
    world.addPod();
    await world.pass(5000);
    const remove = () => {
      const own = world.kernel.network.routes.find(({ protocol }) => protocol === DEFAULT_PROTOCOLS.local)!;
      world.kernel.change({ ...own, object: 'route', verb: 'del', type: 'unicast', hops: [] });
    };
    const passes = () => world.events.filter((event) => event === 'applied').length;
    remove();
    await world.pass(20);
    expect(kernelOf(world)).toEqual(wantedBy(world));
    const before = passes();
    for (let turn = 0; turn < 20; turn++) {
      await world.pass(10);
      if (kernelOf(world).routes.length > 0) remove();
    }
    expect(passes() - before).toBeLessThanOrEqual(1);
    world.dataplane.close();
  });
});

/** Our objects as the desired state describes them. */
function wantedBy(world: DataplaneWorld) {
  const { routes, endpoints, addresses, tunnels: wanted, ruleset } = world.desired();
  return {
    routes: routes
      .map(({ destination, type, protocol, device, gateways, tunnels: ways = [] }) => {
        const hops = device !== undefined ? [`%${device}`] : gateways.map((gateway) => `${gateway}%eth0`);
        const all = [...hops, ...ways.map((hop) => `${hop.gateway}%${hop.device}!`)];
        return `${destination} ${type} ${DEFAULT_PROTOCOLS[protocol]} ${all.sort().join()}`;
      })
      .sort(),
    neighbours: endpoints
      .flatMap(({ addresses: some, mac, interfaceName }) =>
        some.map((address) => `${address} ${mac} ${interfaceName}`),
      )
      .sort(),
    addresses: addresses.map(({ cidr, device }) => `${cidr} ${device}`).sort(),
    tunnels: wanted.flatMap(({ kind, address, mtu, vxlan }) =>
      kind === 'ipip' && !address
        ? []
        : {
            name: tunnels[kind].device,
            mtu,
            address: address && `${address}/${tunnels[kind].family === 4 ? 32 : 128}`,
            port: vxlan?.port,
            neighbours: (vxlan?.remotes ?? []).map(({ address: there, mac }) => `${there} ${mac}`).sort(),
            forwarding: (vxlan?.remotes ?? []).map(({ node, mac }) => `${mac} ${node}`).sort(),
          },
    ),
    table: ruleset.whole.join('\n'),
    sysctls: endpoints.map(() => ['1', '1', '1']),
  };
}

/** The kernel's objects that are ours. */
function kernelOf({ kernel, pods }: DataplaneWorld) {
  const { network } = kernel;
  const isPods = (device: string) => isOwnInterface(device) && network.links.get(device)?.mac === HOST_MAC;
  return {
    routes: network.routes
      .filter(({ protocol }) => Object.values<number>(DEFAULT_PROTOCOLS).includes(protocol))
      .map(({ destination, type, protocol, hops }) => {
        const texts = hops.map((hop) => `${hop.gateway ?? ''}%${hop.device}${hop.isOnlink ? '!' : ''}`);
        return `${destination} ${type} ${protocol} ${texts.sort().join()}`;
      })
      .sort(),
    neighbours: network.neighbours
      .filter(({ device }) => isPods(device))
      .map(({ address, mac, device }) => `${address} ${mac} ${device}`)
      .sort(),
    addresses: network.addresses
      .filter(({ device }) => isPods(device))
      .map(({ cidr, device }) => `${cidr} ${device}`)
      .sort(),
    tunnels: tunnelKinds.flatMap((kind) => {
      const link = network.links.get(tunnels[kind].device);
      // tunl0 stays, without our address: it belongs to the kernel.
      const own = network.addresses.filter(
        ({ device, isLinkScope }) => device === link?.name && (device !== 'tunl0' || isLinkScope),
      );
      if (!link || (kind === 'ipip' && own.length === 0)) return [];
      return [
        {
          name: link.name,
          mtu: link.mtu,
          address: own.map(({ cidr }) => cidr).join() || undefined,
          port: link.vxlan?.port,
          neighbours: network.neighbours
            .filter(({ device }) => device === link.name && kind !== 'ipip')
            .map(({ address, mac }) => `${address} ${mac}`)
            .sort(),
          forwarding: [...link.forwarding].map(([mac, node]) => `${mac} ${node}`).sort(),
        },
      ];
    }),
    table: kernel.tables.get(ownTable.name),
    sysctls: [...pods.values()].map(({ interfaceName }) =>
      [
        `net/ipv4/conf/${interfaceName}/proxy_arp`,
        `net/ipv4/conf/${interfaceName}/rp_filter`,
        `net/ipv6/conf/${interfaceName}/forwarding`,
      ].map((path) => kernel.sysctl(path, interfaceName)),
    ),
  };
}
