/**
 * The dataplane on a fake kernel, with what surrounds it: an agent that calculates desired states after a delay, a CNI
 * server that adds and removes pods, and other programs that change the kernel. Seeded; time advances only in `pass`.
 */
import { ownTable } from '../../felix/calc/ruleset.ts';
import { Dataplane } from '../../felix/dataplane/dataplane.ts';
import type { DesiredDataplane } from '../../felix/dataplane/desired.ts';
import type { Tunnel } from '../../ipip/device-plan.ts';
import { Nftables } from '../../kernel/nftables.ts';
import { silentLog } from '../../lib/log.ts';
import { type Endpoint, HOST_MAC, isOwnInterface, podInterfaceName, podMac } from '../../model/endpoint.ts';
import type { Route } from '../../model/route.ts';
import { DEFAULT_PROTOCOLS, NO_FORMER } from '../../model/route-protocols.ts';
import { tunnelKinds, tunnels, vtepMac } from '../../model/tunnel.ts';
import { randomBy } from './event-stream.ts';
import { FakeKernel } from './fake-kernel.ts';
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
  /** Commands of the dataplane that changed an object of another program, or harmed a pod. */
  readonly violations: string[] = [];
  /** Commands, and calls of the dataplane to its caller, in order. */
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
    for (const command of [
      'link add name eth0 address 02:00:00:00:01:01',
      'link set dev eth0 up',
      'address add 10.0.0.1/24 dev eth0',
      'address add fd00:10::1/64 dev eth0',
      'route add 0.0.0.0/0 via 10.0.0.254 dev eth0 proto 3',
      'route add 192.168.7.0/24 via 10.0.0.9 dev eth0 proto 4 metric 20',
      'neigh replace 10.0.0.9 lladdr 02:00:00:00:01:09 dev eth0 nud permanent',
    ])
      this.kernel.change(command);
    this.kernel.around = (command, run) => this.#watched(command, run);
    this.dataplane = new Dataplane(
      { node: NODE },
      {
        clock: this.clock,
        log: silentLog,
        kernel: this.kernel,
        nftables: new Nftables(ownTable, this.kernel.nft),
        refresh: () => this.#isPending && this.#program(),
        observed: () => this.events.push('observed'),
        migrated: () => this.events.push('migrated'),
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

  desired(): DesiredDataplane {
    const endpoints = [...this.pods.values()];
    const podRoutes = endpoints.flatMap(({ addresses, interfaceName: device }) =>
      addresses.map((address): Route => {
        const destination = `${address}/${address.includes(':') ? 128 : 32}`;
        return { destination, type: 'unicast', protocol: 'local', device, gateways: [] };
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
    this.kernel.change(`link add name ${name} address ${HOST_MAC}`);
    this.kernel.change(`link set dev ${name} up`);
    for (const address of addresses) {
      const length = address.includes(':') ? 128 : 32;
      this.kernel.change(`route add ${address}/${length} dev ${name} proto ${local}`);
      this.kernel.change(`neigh replace ${address} lladdr ${mac} dev ${name} nud permanent`);
    }
    this.pods.set(pod, {
      ...{ containerId: pod, containerInterface: 'eth0', network: 'cali', netns: '/run/netns/x' },
      ...{ interfaceName: name, mac, mtu: 1500, addresses, pod },
    });
    this.calculate();
  }

  /** CNI DEL. */
  deletePod(): void {
    const [pod, endpoint] = this.#pick([...this.pods]) ?? [];
    if (!pod || !endpoint) return;
    this.kernel.change(`link del dev ${endpoint.interfaceName}`);
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
    const neighbour = this.#pick(network.neighbours.filter(({ device }) => device !== 'eth0'));
    const device = this.#pick([...network.links.keys()].filter((name) => name !== 'eth0' && name !== 'eth1'));
    const block = this.#pick(blocks)!;
    const changes = [
      own && `route del ${own.destination} proto ${own.protocol}`,
      own &&
        !own.destination.includes(':') &&
        `route replace ${own.destination} via 10.0.0.9 dev eth0 proto ${own.protocol}`,
      `route add 10.66.${Math.floor(this.random() * 9)}.0/24 via 10.0.0.9 dev eth0 proto ${bgp}`,
      `route add ${block} via 10.0.0.9 dev eth0 proto 4`,
      `route replace ${block} via 10.0.0.9 dev eth0 proto ${bgp}`,
      `route add 172.20.${Math.floor(this.random() * 9)}.0/24 via 10.0.0.9 dev eth0 proto 4`,
      neighbour && `neigh del ${neighbour.address} dev ${neighbour.device}`,
      neighbour &&
        `neigh replace ${neighbour.address} lladdr 02:00:00:00:99:99 dev ${neighbour.device} nud permanent`,
      device && `neigh replace 10.1.9.9 lladdr 02:00:00:00:99:98 dev ${device} nud permanent`,
      device && `address add 10.9.9.${Math.floor(this.random() * 9)}/32 dev ${device}`,
      device && `link set dev ${device} mtu 1300`,
      'link del dev vxlan.cali',
      'link set dev vxlan-v6.cali down',
      'fdb replace 02:00:00:00:99:97 dev vxlan.cali dst 10.0.0.77 self permanent',
      'link add name eth1 address 02:00:00:00:02:01',
      'link del dev eth1',
      'neigh replace 10.0.0.8 lladdr 02:00:00:00:01:08 dev eth0 nud permanent',
    ];
    const change = this.#pick(changes);
    if (change) this.kernel.change(change);
    if (this.random() < 0.1) this.kernel.tables.delete(ownTable.name);
    const path = this.#pick([...this.kernel.sysctls.keys()]);
    if (path && this.random() < 0.1) this.kernel.sysctls.set(path, '7');
  }

  /** Removes the routes of other programs that have one of our prefixes. */
  clearConflicts(): void {
    for (const { destination, protocol } of this.kernel.network.routes)
      if (blocks.includes(destination) && protocol === 4)
        this.kernel.change(`route del ${destination} proto 4`);
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

  /** Runs a command of the dataplane, and records whether it changes what it must not. */
  #watched(command: string, run: () => string | undefined): string | undefined {
    this.events.push('command');
    const before = this.foreignObjects();
    const refusal = run();
    if (this.foreignObjects() !== before) this.violations.push(`changes a foreign object: ${command}`);
    const removed = /^(?:route|neigh) del ([^ /]+)/.exec(command)?.[1];
    const isOfPod = [...this.pods.values()].some(({ addresses }) => addresses.includes(removed ?? ''));
    if (isOfPod) this.violations.push(`harms a pod: ${command}`);
    return refusal;
  }

  #pick<T>(list: readonly T[]): T | undefined {
    return list[Math.floor(this.random() * list.length)];
  }
}
