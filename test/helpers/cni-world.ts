/**
 * The complete CNI plugin of one node on a kernel, a datastore and files in memory. Every access to them is a step,
 * numbered in order: a test plants a fault at a step, or lets the agent die there.
 */
import type { EndpointFiles } from '../../cni/endpoint-folder.ts';
import { EndpointStore } from '../../cni/endpoint-store.ts';
import { type CniAnswer, Plugin } from '../../cni/plugin.ts';
import { DatastoreError } from '../../datastore/errors.ts';
import { namespaceKind, type Pod, podKind } from '../../datastore/schema/core.ts';
import { type IPPool, ipPoolKind } from '../../datastore/schema/ip-pool.ts';
import { type IPAMBlock, ipamBlockKind, ipamHandleKind } from '../../datastore/schema/ipam.ts';
import type { ResourceDefinition } from '../../datastore/schema/resource.ts';
import { allocationsOf } from '../../ipam/block.ts';
import { Ipam } from '../../ipam/ipam.ts';
import { type KernelChange, renderChange } from '../../kernel/change.ts';
import { hostCidr } from '../../lib/cidr.ts';
import { silentLog } from '../../lib/log.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import { DEFAULT_PROTOCOLS, NO_FORMER } from '../../model/route-protocols.ts';
import { FakeKernel } from './fake-kernel.ts';
import { MemoryStore } from './memory-store.ts';
import { VirtualTime } from './virtual-time.ts';

const NODE = 'n1';
const NETWORK = 'k8s-pod-network';
const DEFAULT_NAMESPACE = namespaceKind.schema.parse({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: 'default' },
});
const POOLS = ['10.2.0.0/24', 'fd00:2::/120'];

/** What happens at a step: it fails, it takes effect and then fails, or the agent dies before it. */
export type Fault = 'refused' | 'lost answer' | 'agent dies';

export class CniWorld {
  readonly kernel = new FakeKernel();
  readonly store = new MemoryStore();
  readonly time: VirtualTime;
  /** Files of endpoints by name. */
  readonly files = new Map<string, string>();
  /** Steps so far, and the descriptions of those since the last `clear`. */
  steps = 0;
  trace: string[] = [];
  /** Returns the fault of a step. */
  fault: (step: number, what: string) => Fault | undefined = () => undefined;
  /** Addresses that two containers could send from at once, seen after each change. */
  readonly conflicts: string[] = [];
  #isDead = false;
  #plugin: Plugin | undefined;
  #endpoints: EndpointStore | undefined;

  private constructor(seed: number) {
    this.time = new VirtualTime(seed);
  }

  /** Creates a node with an uplink, two pools and a started agent. */
  static async open(seed = 1): Promise<CniWorld> {
    const world = new CniWorld(seed);
    const { kernel, store } = world;
    kernel.network.createCard('eth0', '02:00:00:00:01:01');
    kernel.change({ object: 'link', verb: 'set', name: 'eth0', isUp: true });
    kernel.change({ object: 'address', verb: 'add', cidr: '10.0.0.1/24', device: 'eth0' });
    for (const cidr of POOLS)
      await store.create(ipPoolKind, {
        apiVersion: 'projectcalico.org/v3',
        kind: 'IPPool',
        metadata: { name: cidr.includes(':') ? 'six' : 'four' },
        spec: { cidr, blockSize: cidr.includes(':') ? 124 : 28 },
      });
    world.#intercept();
    await world.restart();
    return world;
  }

  /** The plugin's accesses become steps. */
  #intercept(): void {
    const { kernel, store } = this;
    kernel.around = (change, apply) => {
      const fault = this.#step(renderChange(change));
      if (fault === 'refused') return { code: 'EINVAL', message: 'planted' };
      const refusal = apply();
      this.conflicts.push(...this.#sharedAddresses());
      return fault === 'lost answer' ? { code: 'EINTR', message: 'planted' } : refusal;
    };
    let isLost = false;
    store.before = async (operation) => {
      // Others run first, some turns each.
      for (let turns = this.time.below(3); turns > 0; turns--) await Promise.resolve();
      const fault = this.#step(operation);
      isLost = fault === 'lost answer';
      if (fault === 'refused') throw new DatastoreError('UNAVAILABLE', 'planted');
    };
    store.after = () => {
      if (isLost) throw new DatastoreError('UNAVAILABLE', 'planted, after the write');
    };
  }

  #step(what: string): Fault | undefined {
    if (this.#isDead) throw new Error('the agent is dead');
    this.steps++;
    this.trace.push(what);
    const fault = this.fault(this.steps, what);
    if (fault === 'agent dies') {
      this.#isDead = true;
      throw new Error('the agent dies');
    }
    return fault;
  }

  readonly #folder: EndpointFiles = {
    read: async () => [...this.files].map(([name, text]) => ({ name, text })),
    write: (name, text) => {
      const fault = this.#step(`write ${name}`);
      if (fault === 'refused') throw new Error('no space left on device');
      this.files.set(name, text);
      if (fault === 'lost answer') throw new Error('input/output error');
    },
    remove: async (name) => {
      const fault = this.#step(`remove ${name}`);
      if (fault === 'refused') throw new Error('read-only file system');
      this.files.delete(name);
      if (fault === 'lost answer') throw new Error('input/output error');
    },
  };

  /** Starts the agent, again if it runs or died. */
  async restart(): Promise<void> {
    // The former agent ends wherever it is.
    this.#isDead = true;
    this.#plugin?.close();
    await this.time.run(0);
    this.#isDead = false;
    const { store, kernel, time } = this;
    const endpoints = await EndpointStore.open(this.#folder, () => {}, silentLog);
    const view = {
      pools: this.#copy<IPPool>(ipPoolKind),
      blocks: this.#copy<IPAMBlock>(ipamBlockKind),
      configuration: () => undefined,
      reservations: () => [],
      nodeLabels: () => ({}),
    };
    const pods = this.#copy<Pod>(podKind);
    this.#endpoints = endpoints;
    this.#plugin = new Plugin(
      {
        node: NODE,
        mtu: () => 1450,
        families: () => [4, 6],
        routes: () => ({ protocols: DEFAULT_PROTOCOLS, former: NO_FORMER, ranges: [] }),
        notReady: () => undefined,
      },
      {
        ...{ store, kernel, time, endpoints, log: silentLog, observe: () => {} },
        ipam: new Ipam({ node: NODE }, { store, view, clock: time }),
        known: {
          pod: (_, name) => pods().find(({ metadata }) => metadata.name === name),
          namespace: () => DEFAULT_NAMESPACE,
        },
      },
    );
    this.#plugin.resume();
  }

  /** Lets the agent finish what it does in the background, with retries. */
  settle(): Promise<void> {
    return this.time.run(300_000);
  }

  /** Returns the addresses of more than one container whose interface on the host is up. */
  #sharedAddresses(): string[] {
    const found: string[] = [];
    const owners = new Map<string, string>();
    for (const [netns, pod] of this.kernel.namespaces) {
      const peer = pod.links.get('eth0')?.peer;
      if (!peer?.network.links.get(peer.name)?.isUp) continue;
      for (const { cidr, device } of pod.addresses) {
        if (device !== 'eth0') continue;
        if (owners.has(cidr)) found.push(`${cidr}: of ${owners.get(cidr)} and ${netns}`);
        owners.set(cidr, netns);
      }
    }
    return found;
  }

  /** Returns a reader of a kind, as a watch keeps a copy. */
  #copy<T>(kind: ResourceDefinition): () => T[] {
    let revision = -1;
    let list: T[] = [];
    return () => {
      if (revision !== this.store.revision) list = this.store.all(kind) as unknown as T[];
      revision = this.store.revision;
      return list;
    };
  }

  /** Creates a Pod in the API. */
  async createPod(name: string, annotations: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.store.create(podKind, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default', annotations },
      spec: { nodeName: NODE },
      status: {},
    });
  }

  /** Starts a container's namespace. */
  createContainer(id: string): void {
    if (!this.kernel.namespaces.has(netnsOf(id))) this.kernel.pods.create(netnsOf(id));
  }

  endContainer(id: string): void {
    this.kernel.pods.end(netnsOf(id));
  }

  /** Makes a CNI call for a container of a pod. */
  call(command: string, container: string, pod: string, network: object = {}): Promise<CniAnswer> {
    return this.#plugin!.handle({
      environment: {
        CNI_COMMAND: command,
        CNI_CONTAINERID: container,
        CNI_IFNAME: 'eth0',
        CNI_NETNS: netnsOf(container),
        CNI_ARGS: `K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod}`,
      },
      stdin: JSON.stringify({ cniVersion: '1.1.0', name: NETWORK, type: 'cali', ...network }),
    });
  }

  /** Removes the attachments of all containers but these. */
  collect(valid: readonly string[]): Promise<CniAnswer> {
    const attachments = valid.map((containerID) => ({ containerID, ifname: 'eth0' }));
    return this.call('GC', 'none', 'none', { 'cni.dev/valid-attachments': attachments });
  }

  get endpoints(): Endpoint[] {
    return this.#endpoints?.list() ?? [];
  }

  /** Everything that containers have on the node and in the datastore. Empty after each of them was deleted. */
  leftovers(): string[] {
    const { links, routes, neighbours } = this.kernel.network;
    return [
      ...[...links.keys()].filter((name) => name !== 'eth0').map((name) => `link ${name}`),
      ...routes.filter(({ protocol }) => protocol === DEFAULT_PROTOCOLS.local).map(routeOf),
      ...neighbours.map(({ address }) => `neighbour ${address}`),
      ...this.allocations().map(({ address, handleId }) => `address ${address} of ${handleId}`),
      ...this.store.all(ipamHandleKind).map(({ metadata }) => `handle ${metadata.name}`),
      ...[...this.files.keys()].map((name) => `file ${name}`),
      ...this.endpoints.map(({ containerId }) => `endpoint of ${containerId}`),
    ];
  }

  allocations() {
    return (this.store.all(ipamBlockKind) as unknown as IPAMBlock[]).flatMap(({ spec }) =>
      allocationsOf(spec),
    );
  }

  /**
   * Differences between endpoints and the kernel, and addresses that are assigned twice. None between calls.
   * `isExact`: nothing else has an address or an interface. `areWhole`: endpoints have everything; a DEL that failed
   * leaves some of it.
   */
  violations({ isExact, areWhole = true }: { isExact: boolean; areWhole?: boolean }): string[] {
    const found: string[] = [...this.conflicts];
    const { links, routes, neighbours } = this.kernel.network;
    const owners = new Map<string, string>();
    const allocations = this.allocations();
    const handles = new Map(allocations.map(({ address, handleId }) => [address, handleId]));
    for (const endpoint of this.endpoints) {
      const { containerId, interfaceName, addresses, netns, containerInterface } = endpoint;
      const handle = `${NETWORK}.${containerId}`;
      for (const address of addresses) {
        if (owners.has(address)) found.push(`${address}: of ${owners.get(address)} and ${containerId}`);
        owners.set(address, containerId);
        if (areWhole && handles.get(address) !== handle)
          found.push(`${address}: assigned to ${handles.get(address)}`);
      }
      const pod = this.kernel.namespaces.get(netns);
      if (!pod || !areWhole) continue;
      if (!links.get(interfaceName)?.isUp) found.push(`${interfaceName}: not up`);
      if (!pod.links.get(containerInterface)?.isUp) found.push(`${netns}: ${containerInterface} is not up`);
      for (const address of addresses) {
        const isRouted = routes.some(
          ({ destination, hops }) => destination === hostCidr(address) && hops[0]?.device === interfaceName,
        );
        if (!isRouted) found.push(`${address}: no route`);
        if (!neighbours.some((one) => one.address === address && one.device === interfaceName))
          found.push(`${address}: no neighbour`);
        if (!pod.addresses.some(({ cidr }) => cidr === hostCidr(address)))
          found.push(`${address}: not in the pod`);
      }
    }
    const known = new Set(this.endpoints.map(({ interfaceName }) => interfaceName));
    const strangers = [...links.keys()].filter((name) => name !== 'eth0' && !known.has(name));
    if (isExact) found.push(...strangers.map((name) => `${name}: of no endpoint`));
    if (isExact)
      for (const { address } of allocations)
        if (!owners.has(address)) found.push(`${address}: assigned, of no endpoint`);
    return found;
  }

  /** Changes of the plugin since the last call, in iproute2's syntax. */
  takeChanges(): string[] {
    return this.kernel.changes.splice(0).map((change: KernelChange) => renderChange(change));
  }
}

export function netnsOf(container: string): string {
  return `/run/netns/${container}`;
}

function routeOf({ destination }: { destination: string }): string {
  return `route ${destination}`;
}
