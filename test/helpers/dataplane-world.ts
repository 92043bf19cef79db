/**
 * The dataplane on a fake kernel, with what surrounds it: an agent that calculates desired states after a delay, a CNI
 * server that adds and removes pods, and other programs that change the kernel. Seeded; time advances only in `pass`.
 */
import { ownTable } from '../../felix/calc/ruleset.ts';
import { Dataplane } from '../../felix/dataplane/dataplane.ts';
import type { DesiredDataplane } from '../../felix/dataplane/desired.ts';
import type { Tunnel } from '../../ipip/device-plan.ts';
import {
  type AddressChange,
  type KernelChange,
  type LinkChange,
  type NeighbourChange,
  type RouteChange,
  renderChange,
} from '../../kernel/change.ts';
import { Nftables } from '../../kernel/nftables.ts';
import { hostCidr } from '../../lib/cidr.ts';
import { silentLog } from '../../lib/log.ts';
import { type Endpoint, HOST_MAC, isOwnInterface, podInterfaceName, podMac } from '../../model/endpoint.ts';
import type { Route } from '../../model/route.ts';
import { DEFAULT_PROTOCOLS, NO_FORMER } from '../../model/route-protocols.ts';
import { tunnelKinds, tunnels, vtepMac } from '../../model/tunnel.ts';
import { randomBy } from './event-stream.ts';
import { FakeKernel } from './fake-kernel.ts';
import type { Refusal } from './fake-network.ts';
import { ManualClock } from './manual-clock.ts';

const NODE = 'n1';
const RESYNC_MS = 90_000;
const COALESCE_MS = 10;
/** More turns of the event loop than any passage of time takes. */
const MAX_TURNS = 20_000;
const { local, bgp } = DEFAULT_PROTOCOLS;
const devices = tunnelKinds.map((kind) => tunnels[kind].device);
const peers = ['10.0.0.2', '10.0.0.3', '10.0.0.4'];
const blocks = Array.from({ length: 6 }, (_, i) => `10.2.${i}.0/26`);

export class DataplaneWorld {
  readonly clock = new ManualClock();
  readonly kernel = new FakeKernel();
  readonly random: () => number;
  readonly dataplane: Dataplane;
  /** Changes by the dataplane that concerned an object of another program, or harmed a pod. */
  readonly violations: string[] = [];
  /** Changes, and calls of the dataplane to its caller, in order. */
  readonly events: string[] = [];
  readonly pods = new Map<string, Endpoint>();
  #podCount = 0;
  #isPending = false;
  #routes: readonly Route[] = [];
  #tunnels: readonly Tunnel[] = [];
  #rules = ['table inet cali {', '}'];
  #ruleset = { whole: this.#rules, guard: this.#rules, nat: this.#rules };
  #isLearnedComplete = false;

  constructor(seed: number) {
    this.random = randomBy(seed);
    this.kernel.network.createCard('eth0', '02:00:00:00:01:01');
    for (const change of [
      linkUp('eth0'),
      addressOn('eth0', '10.0.0.1/24'),
      addressOn('eth0', 'fd00:10::1/64'),
      via('10.0.0.254', { destination: '0.0.0.0/0', protocol: 3 }),
      via('10.0.0.9', { destination: '192.168.7.0/24', protocol: 4, metric: 20 }),
      neighbour('10.0.0.9', '02:00:00:00:01:09', 'eth0'),
    ])
      this.kernel.change(change);
    this.kernel.around = (change, apply) => this.#watched(change, apply);
    this.dataplane = new Dataplane(
      { node: NODE },
      {
        clock: this.clock,
        log: silentLog,
        kernel: this.kernel,
        nftables: new Nftables(ownTable, this.kernel.nft),
        observed: () => this.#answer(),
        applied: () => this.events.push('applied'),
        guarded: () => this.events.push('guarded'),
      },
    );
    this.dataplane.configure({ resyncMs: RESYNC_MS, families: [4, 6], hasForwarding: true, problems: [] });
    this.calculate();
  }

  /** Lets time pass, from one timer to the next. */
  async pass(milliseconds: number): Promise<void> {
    const end = this.clock.now() + milliseconds;
    for (let turns = 0; this.clock.now() < end; turns++) {
      if (turns > MAX_TURNS) throw new Error('the dataplane never rests');
      this.clock.advance(Math.min(this.clock.next ?? end, end) - this.clock.now());
      // The fake kernel answers in microtasks, so all work is done before the next turn.
      await new Promise(setImmediate);
    }
  }

  /** Calculates a new desired state after the agent's delay. */
  calculate(): void {
    if (this.#isPending) return;
    this.#isPending = true;
    this.clock.after(COALESCE_MS, () => this.#program());
  }

  #program(): void {
    this.#isPending = false;
    this.dataplane.setDesired(this.desired());
  }

  /** Answers an observation: with the desired state, if it is not yet calculated. */
  #answer(): DesiredDataplane | undefined {
    this.events.push('observed');
    return this.#isPending ? this.desired() : undefined;
  }

  desired(): DesiredDataplane {
    const endpoints = [...this.pods.values()];
    const podRoutes = endpoints.flatMap(({ addresses, interfaceName: device }) =>
      addresses.map((address): Route => {
        return { destination: hostCidr(address), type: 'unicast', protocol: 'local', device, gateways: [] };
      }),
    );
    return {
      routes: [...podRoutes, ...this.#routes],
      endpoints,
      addresses: endpoints.map(({ interfaceName: device }, i) => ({ device, cidr: `169.254.7.${i}/32` })),
      tunnels: this.#tunnels,
      ruleset: this.#ruleset,
      isLearnedComplete: this.#isLearnedComplete,
      ownership: { protocols: DEFAULT_PROTOCOLS, former: NO_FORMER, ranges: ['10.2.0.0/16'] },
    };
  }

  /** CNI ADD: the CNI server programs the pod itself, and stores its endpoint. */
  addPod(): void {
    const pod = `p${++this.#podCount}`;
    const name = podInterfaceName('default', pod);
    const addresses = [`10.1.0.${this.#podCount % 256}`, `fd00:1::${this.#podCount.toString(16)}`];
    const mac = podMac(pod, 'eth0');
    const netns = `/run/netns/${pod}`;
    this.kernel.pods.create(netns);
    const peer = { name: 'eth0', mac, mtu: 1500, netns };
    this.kernel.change({
      ...{ object: 'link', verb: 'add', name, mac: HOST_MAC },
      kind: { type: 'veth', peer },
    });
    this.kernel.change(linkUp(name));
    for (const address of addresses) {
      this.kernel.change({
        ...{ object: 'route', verb: 'add', destination: hostCidr(address), type: 'unicast', protocol: local },
        hops: [{ gateway: undefined, device: name }],
      });
      this.kernel.change(neighbour(address, mac, name));
    }
    this.pods.set(pod, {
      ...{ containerId: pod, containerInterface: 'eth0', network: 'cali', netns },
      ...{ interfaceName: name, mac, mtu: 1500, addresses, pod },
    });
    this.calculate();
  }

  /** CNI DEL. */
  deletePod(): void {
    const [pod, endpoint] = this.#pick([...this.pods]) ?? [];
    if (!pod || !endpoint) return;
    this.kernel.change(removal(endpoint.interfaceName));
    this.pods.delete(pod);
    this.calculate();
  }

  /** Other nodes' blocks, directly or through a tunnel, and blackholes of own blocks. */
  changeRoutes(): void {
    const through = this.#tunnels.map(({ kind }) => tunnels[kind]).filter(({ family }) => family === 4);
    this.#routes = blocks.flatMap((destination): Route[] => {
      const kind = Math.floor(this.random() * 4);
      const common = { destination, device: undefined };
      const peer = this.#pick(peers)!;
      const tunnel = this.#pick(through);
      if (kind === 0) return [];
      if (kind === 1) return [{ ...common, type: 'blackhole', protocol: 'local', gateways: [] }];
      if (kind === 2 && tunnel)
        return [
          {
            ...{ ...common, type: 'unicast', protocol: 'bgp', gateways: [] },
            tunnels: [{ gateway: peer, device: tunnel.device, isOnlink: true }],
          },
        ];
      const gateways = peers.filter((one) => one === peer || this.random() < 0.3);
      return [{ ...common, type: 'unicast', protocol: 'bgp', gateways }];
    });
    this.calculate();
  }

  changeTunnels(): void {
    const remotes = peers.filter(() => this.random() < 0.7);
    const vxlan = (family: 4 | 6) => ({
      ...{
        vni: 4096,
        port: this.random() < 0.8 ? 4789 : 4790,
        local: family === 4 ? '10.0.0.1' : 'fd00:10::1',
      },
      mac: vtepMac(NODE, family),
      remotes: remotes.map((node, i) => ({
        address: family === 4 ? `10.3.0.${i + 2}` : `fd00:3::${i + 2}`,
        mac: vtepMac(node, family),
        node: family === 4 ? node : `fd00:10::${i + 2}`,
      })),
    });
    const wanted = tunnelKinds.filter(() => this.random() < 0.6);
    this.#tunnels = wanted.map((kind) => ({
      kind,
      address: this.random() < 0.9 ? (kind === 'vxlan6' ? 'fd00:3::1' : '10.3.0.1') : undefined,
      mtu: this.random() < 0.5 ? 1450 : 1440,
      vxlan: kind === 'ipip' ? undefined : vxlan(tunnels[kind].family),
    }));
    this.changeRoutes();
  }

  changeRules(): void {
    this.#rules = ['table inet cali {', `  chain c${Math.floor(this.random() * 9)} { }`, '}'];
    this.#ruleset = { whole: this.#rules, guard: this.#rules, nat: this.#rules };
    this.calculate();
  }

  converge(): void {
    this.#isLearnedComplete = true;
    this.calculate();
  }

  /** One change by a program that knows nothing of Cali, or by an administrator. */
  interfere(): void {
    const { network } = this.kernel;
    const own = this.#pick(network.routes.filter(({ protocol }) => protocol === local || protocol === bgp));
    const entry = this.#pick(network.neighbours.filter(({ device }) => device !== 'eth0'));
    const device = this.#pick([...network.links.keys()].filter((name) => name !== 'eth0' && name !== 'eth1'));
    const block = this.#pick(blocks)!;
    const digit = Math.floor(this.random() * 9);
    const changes: (KernelChange | undefined)[] = [
      own && routeRemoval(own),
      own && !own.destination.includes(':')
        ? via('10.0.0.9', { verb: 'replace', destination: own.destination, protocol: own.protocol })
        : undefined,
      via('10.0.0.9', { destination: `10.66.${digit}.0/24`, protocol: bgp }),
      via('10.0.0.9', { destination: block, protocol: 4 }),
      via('10.0.0.9', { verb: 'replace', destination: block, protocol: bgp }),
      via('10.0.0.9', { destination: `172.20.${digit}.0/24`, protocol: 4 }),
      entry && { object: 'neighbour', verb: 'del', address: entry.address, device: entry.device },
      entry && neighbour(entry.address, '02:00:00:00:99:99', entry.device),
      device ? neighbour('10.1.9.9', '02:00:00:00:99:98', device) : undefined,
      device ? addressOn(device, `10.9.9.${digit}/32`) : undefined,
      device ? { object: 'link', verb: 'set', name: device, mtu: 1300 } : undefined,
      removal('vxlan.cali'),
      {
        ...{ object: 'forwarding', verb: 'replace', mac: '02:00:00:00:99:97' },
        ...{ device: 'vxlan.cali', node: '10.0.0.77' },
      },
      removal('eth1'),
      neighbour('10.0.0.8', '02:00:00:00:01:08', 'eth0'),
    ];
    const others = [
      () => network.createCard('eth1', '02:00:00:00:02:01'),
      () => network.setDown('vxlan-v6.cali'),
    ];
    const at = Math.floor(this.random() * (changes.length + others.length));
    const change = changes[at];
    if (change) this.kernel.change(change);
    else others[at - changes.length]?.();
    if (this.random() < 0.1) this.kernel.tables.delete(ownTable.name);
    const path = this.#pick([...this.kernel.sysctls.keys()]);
    if (path && this.random() < 0.1) this.kernel.sysctls.set(path, '7');
  }

  /** Removes the routes of other programs that have one of our prefixes. */
  clearConflicts(): void {
    for (const { destination, protocol } of [...this.kernel.network.routes])
      if (blocks.includes(destination) && protocol === 4)
        this.kernel.change(routeRemoval({ destination, protocol }));
  }

  /** The objects that the dataplane must never change, as text. */
  foreignObjects(): string {
    const { network, tables } = this.kernel;
    const isForeign = (device: string | undefined) =>
      device !== undefined && !isOwnInterface(device) && !devices.includes(device);
    return JSON.stringify([
      network.routes.filter(
        ({ protocol, hops }) =>
          protocol !== local && protocol !== bgp && hops.every((hop) => isForeign(hop.device)),
      ),
      network.addresses.filter(
        ({ device, isLinkScope }) => isForeign(device) || (device === 'tunl0' && !isLinkScope),
      ),
      network.neighbours.filter(({ device }) => isForeign(device)),
      [...network.links.values()].filter(({ name }) => isForeign(name) || isOwnInterface(name)),
      [...tables].filter(([name]) => name !== ownTable.name),
    ]);
  }

  /** Makes a change by the dataplane, and records whether it concerns what it must not. */
  #watched(change: KernelChange, apply: () => Refusal | undefined): Refusal | undefined {
    this.events.push('change');
    const before = this.foreignObjects();
    const refusal = apply();
    if (this.foreignObjects() !== before)
      this.violations.push(`changes a foreign object: ${renderChange(change)}`);
    const removed = removedHost(change);
    const isOfPod = [...this.pods.values()].some(({ addresses }) => addresses.includes(removed ?? ''));
    if (isOfPod) this.violations.push(`harms a pod: ${renderChange(change)}`);
    return refusal;
  }

  #pick<T>(list: readonly T[]): T | undefined {
    return list[Math.floor(this.random() * list.length)];
  }
}

function linkUp(name: string): LinkChange {
  return { object: 'link', verb: 'set', name, isUp: true };
}

function removal(name: string): LinkChange {
  return { object: 'link', verb: 'del', name };
}

function addressOn(device: string, cidr: string): AddressChange {
  return { object: 'address', verb: 'add', cidr, device };
}

function neighbour(address: string, mac: string, device: string): NeighbourChange {
  return { object: 'neighbour', verb: 'replace', address, device, mac };
}

/** Returns a route through a gateway on eth0. */
function via(
  gateway: string,
  route: Pick<RouteChange, 'destination' | 'protocol'> & Partial<RouteChange>,
): RouteChange {
  return { object: 'route', verb: 'add', type: 'unicast', hops: [{ gateway, device: 'eth0' }], ...route };
}

function routeRemoval({ destination, protocol }: Pick<RouteChange, 'destination' | 'protocol'>): RouteChange {
  return { object: 'route', verb: 'del', destination, type: 'unicast', protocol, hops: [] };
}

/** Returns the address whose route or neighbour is removed. */
function removedHost(change: KernelChange): string | undefined {
  if (change.verb !== 'del') return undefined;
  if (change.object === 'route') return change.destination.split('/')[0];
  return change.object === 'neighbour' ? change.address : undefined;
}
