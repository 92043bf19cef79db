import path from 'node:path';
import { AGENT_SOCKET } from '../agent/report/status.ts';
import { findKind } from '../datastore/registry.ts';
import { nodeKind, podKind } from '../datastore/schema/core.ts';
import { counted } from '../lib/counted.ts';
import { messageOf } from '../lib/errors.ts';
import { agentProcess } from './agent-process.ts';
import { clusterObjects } from './cluster-objects.ts';
import { ControlPlane, LAB_DIRECTORY } from './control-plane.ts';
import { assertFreeName } from './names.ts';
import {
  createNodeNamespace,
  createPodNamespace,
  createSubnets,
  deleteNamespace,
  hasIpip,
  type NodeAddresses,
  netnsPath,
  nodeAddresses,
  portName,
  type Subnet,
  subnet,
} from './namespaces.ts';
import { allProbes, flowProbes } from './pairs.ts';
import { callAgent, NAMESPACE, netnsName, podEnvironment } from './pod-calls.ts';
import { type FlowReport, type Probe, Prober } from './prober.ts';
import type { LabProcess } from './process.ts';
import type { Waiting } from './screen.ts';
import { loadSockets } from './setns.ts';
import { chooseEncap, type Encap, type Topology } from './topology.ts';

export interface LabNode {
  readonly name: string;
  readonly addresses: NodeAddresses;
  readonly runDirectory: string;
  readonly agent: LabProcess;
}

export interface LabPod {
  readonly name: string;
  readonly node: string;
  readonly netns: string;
  readonly addresses: readonly string[];
}

export interface NewNode {
  readonly name: string;
  readonly subnet?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface LabOptions {
  readonly topology: Topology;
  /** Folder with the bundled programs. */
  readonly programs: string;
  /** Called after each completed step. */
  readonly progress: (text: string) => void;
  /** Called when a wait begins that may take long; it ends with the next step. */
  readonly wait: (waiting: Waiting) => void;
  /** Log severity of the agents; empty: FelixConfiguration decides. */
  readonly logSeverity: string;
}

/** Generous: inside user-mode Linux a program takes seconds to start. */
export const AGENT_TIMEOUT_MS = 120_000;
/** A node's IPv4 address is its number plus 10, in a /24 (namespaces.ts). */
const MAX_NODES = 244;

export class Lab {
  readonly #options: LabOptions;
  readonly #nodes = new Map<string, LabNode>();
  readonly #pods = new Map<string, LabPod>();
  readonly #addingPods = new Set<string>();
  readonly #controlPlane: ControlPlane;
  #prober!: Prober;
  #subnets: readonly Subnet[] = [];
  #nodeCount = 0;

  constructor(options: LabOptions) {
    this.#options = options;
    this.#controlPlane = new ControlPlane(options.programs);
  }

  get nodes(): readonly LabNode[] {
    return [...this.#nodes.values()];
  }

  get pods(): readonly LabPod[] {
    return [...this.#pods.values()];
  }

  /** Starts the lab. Resolves when every pod has its network. */
  async up(): Promise<void> {
    const { topology, progress, wait } = this.#options;
    this.#prober = new Prober(loadSockets());
    const last = Math.max(...topology.nodes.map((node) => node.subnet));
    this.#subnets = Array.from({ length: last + 1 }, (_, index) => subnet(index, topology.ipv6));
    await createSubnets(this.#subnets);
    await this.#controlPlane.prepare();
    wait({ what: 'API server', missing: () => ['its first answer'] });
    await this.#controlPlane.startApi();
    progress(`API server on ${this.#controlPlane.address}`);
    await this.#createObjects();
    const names = topology.nodes.map(({ name }) => name);
    const ready = new Set<string>();
    const missing = () => names.filter((name) => !ready.has(name));
    wait({ what: 'nodes', missing });
    await each(topology.nodes, async (node) => {
      await this.addNode(node);
      ready.add(node.name);
    });
    progress(`${counted(names.length, 'node')}, each with cali-node, ${this.#describeSubnets()}`);
    ready.clear();
    wait({ what: 'agents', missing });
    await each(names, async (name) => {
      await this.waitForAgent(name, AGENT_TIMEOUT_MS);
      ready.add(name);
    });
    progress('agents in sync with the API');
    this.#controlPlane.startControllers();
    const pods = topology.nodes.flatMap((node) => node.pods.map((name) => ({ node: node.name, name })));
    wait({
      what: 'pods',
      missing: () => pods.map(({ name }) => name).filter((name) => !this.#pods.has(name)),
    });
    await each(pods, async ({ node, name }) => {
      await this.addPod(node, name);
    });
    progress(`${counted(this.#pods.size, 'pod')}, each with addresses from IPAM and a veth from CNI`);
  }

  /** Ends the agents and the API server; the namespaces vanish with this process. */
  async down(): Promise<void> {
    this.#prober?.close();
    await Promise.all([...this.#nodes.values()].map(({ agent }) => agent.end('SIGKILL')));
    await this.#controlPlane.kill();
  }

  /** Adds a node, by default in the first subnet. */
  async addNode({ name, subnet: index = 0, labels = {}, annotations = {} }: NewNode): Promise<void> {
    this.#assertFree('node', name);
    const lan = this.#subnets[index];
    if (!lan)
      throw new Error(`subnet ${index} does not exist: the number of subnets is ${this.#subnets.length}`);
    if (this.#nodeCount === MAX_NODES)
      throw new Error(`node ${name}: the lab has had ${MAX_NODES} nodes and has no more addresses`);
    const number = ++this.#nodeCount;
    const addresses = nodeAddresses(number, lan);
    const runDirectory = path.join(LAB_DIRECTORY, name);
    const { programs, logSeverity } = this.#options;
    const agent = agentProcess(name, {
      programs,
      runDirectory,
      logSeverity,
      hasIpv6: addresses.ipv6 !== undefined,
    });
    const node: LabNode = { name, addresses, runDirectory, agent };
    this.#nodes.set(name, node);
    const { ipv4, ipv6 } = addresses;
    try {
      await createNodeNamespace(name, addresses, lan, portName(name, number));
      await this.#prober.add(name, netnsPath(name), this.#families(), { 4: ipv4, 6: ipv6 });
      await this.#controlPlane.client.create(nodeKind, {
        apiVersion: 'v1',
        kind: 'Node',
        metadata: { name, labels: { 'kubernetes.io/hostname': name, ...labels }, annotations },
        status: {
          addresses: [ipv4, ipv6]
            .filter((address) => address !== undefined)
            .map((address) => ({ type: 'InternalIP', address })),
          conditions: [{ type: 'Ready', status: 'True' }],
        },
      });
      agent.start();
    } catch (error) {
      this.#prober.remove(name);
      await deleteNamespace(name);
      this.#nodes.delete(name);
      throw error;
    }
  }

  /** Removes a node's agent, its pods and its Node object. */
  async deleteNode(name: string): Promise<void> {
    const node = this.#node(name);
    await node.agent.end('SIGTERM');
    for (const pod of this.pods) {
      if (pod.node !== name) continue;
      this.#forgetPod(pod);
      await deleteNamespace(netnsName(pod.name));
      await this.#controlPlane.client.remove(podKind, pod.name, { namespace: NAMESPACE });
    }
    await this.#controlPlane.client.remove(nodeKind, name);
    this.#prober.remove(name);
    await deleteNamespace(name);
    this.#nodes.delete(name);
  }

  startAgent(name: string): void {
    this.#node(name).agent.start();
  }

  async endAgent(name: string, signal: NodeJS.Signals): Promise<void> {
    await this.#node(name).agent.end(signal);
  }

  /** Restarts all agents and the controllers, from the current bundles. Resolves when the agents serve CNI calls. */
  async restartPrograms(): Promise<void> {
    await each(this.nodes, async ({ name, agent }) => {
      await agent.end('SIGTERM');
      agent.start();
      await this.waitForAgent(name, AGENT_TIMEOUT_MS);
    });
    await this.#controlPlane.restartControllers();
  }

  /** Makes an agent listen for a debugger, on loopback port 9229 of its node. */
  openInspector(name: string): void {
    if (!this.#node(name).agent.signal('SIGUSR1')) throw new Error(`node ${name} runs no agent`);
  }

  /** Waits until the agent serves CNI calls. */
  async waitForAgent(name: string, timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    let reason = '';
    while (Date.now() < deadline) {
      try {
        const { exitCode, output } = await this.#cni(name, { CNI_COMMAND: 'STATUS' });
        if (exitCode === 0) return;
        reason = output;
      } catch (error) {
        reason = messageOf(error);
      }
      if (!this.#node(name).agent.isRunning)
        throw new Error(`the agent of ${name} exited: see ${LAB_DIRECTORY}/log/${name}.log`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(
      `the agent of ${name} was not ready within ${timeoutMs / 1000} s: ${reason} (log: ${LAB_DIRECTORY}/log/${name}.log)`,
    );
  }

  async addPod(nodeName: string, name: string, annotations: Record<string, string> = {}): Promise<LabPod> {
    this.#node(nodeName);
    this.#assertFree('pod', name);
    this.#addingPods.add(name);
    try {
      return await this.#createPod(nodeName, name, annotations);
    } finally {
      this.#addingPods.delete(name);
    }
  }

  async #createPod(nodeName: string, name: string, annotations: Record<string, string>): Promise<LabPod> {
    await this.#controlPlane.client.create(podKind, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: NAMESPACE, annotations },
      spec: { nodeName, containers: [] },
      status: { phase: 'Pending' },
    });
    const { exitCode, output, netns } = await this.#connectPod(nodeName, name).catch(
      // The agent ended during the call.
      (error: unknown) => ({ exitCode: 1, output: JSON.stringify({ msg: messageOf(error) }), netns: '' }),
    );
    if (exitCode !== 0) {
      await this.#controlPlane.client.remove(podKind, name, { namespace: NAMESPACE });
      await deleteNamespace(netnsName(name));
      throw new Error(`pod ${name} on ${nodeName}: ${(JSON.parse(output) as { msg: string }).msg}`);
    }
    const { ips } = JSON.parse(output) as { ips: { address: string }[] };
    const addresses = ips.map(({ address }) => address.split('/')[0]!);
    const pod = { name, node: nodeName, netns, addresses };
    await this.#prober.add(name, netns, this.#families());
    this.#pods.set(name, pod);
    const status = { phase: 'Running', podIP: addresses[0], podIPs: addresses.map((ip) => ({ ip })) };
    await this.#controlPlane.client.patch(
      podKind,
      name,
      { status },
      { namespace: NAMESPACE, isStatus: true },
    );
    return pod;
  }

  async #connectPod(nodeName: string, name: string) {
    const netns = await createPodNamespace(netnsName(name));
    return { netns, ...(await this.#cni(nodeName, podEnvironment('ADD', name, netns))) };
  }

  /** Throws CodedError NAME before anything changes. */
  #assertFree(kind: 'node' | 'pod', name: string): void {
    assertFreeName(kind, name, {
      nodes: [...this.#nodes.keys()],
      pods: [...this.#pods.keys(), ...this.#addingPods],
    });
  }

  async deletePod(name: string): Promise<void> {
    const pod = this.#pods.get(name);
    if (!pod) throw new Error(`pod ${name} does not exist; pods: ${[...this.#pods.keys()].join(', ')}`);
    const { exitCode, output } = await this.#cni(pod.node, podEnvironment('DEL', name, pod.netns));
    if (exitCode !== 0) throw new Error(`pod ${name}: ${output}`);
    this.#forgetPod(pod);
    await deleteNamespace(netnsName(name));
    await this.#controlPlane.client.remove(podKind, name, { namespace: NAMESPACE });
  }

  async endApi(signal: NodeJS.Signals): Promise<void> {
    await this.#controlPlane.endApi(signal);
  }

  async startApi(): Promise<void> {
    await this.#controlPlane.startApi();
  }

  /** Returns probes for every ordered pair of pods, and for every pod to every node, in each family of both. */
  allProbes(): Probe[] {
    return allProbes(this.pods, this.nodes);
  }

  probe(
    probes: readonly Probe[],
    timeoutMs: number,
    onStart?: (unanswered: () => Probe[]) => void,
  ): Promise<Probe[]> {
    return this.#prober.probe(probes, timeoutMs, onStart);
  }

  /** Starts one flow per path: from one pod of each node to one of each other node, and between two on one node. */
  startFlows(intervalMs: number): number {
    const probes = flowProbes(this.pods, [...this.#nodes.keys()]);
    this.#prober.startFlows(probes, intervalMs);
    return probes.length;
  }

  stopFlows(): Promise<FlowReport[]> {
    return this.#prober.stopFlows();
  }

  async #encap(): Promise<Exclude<Encap, 'auto'>> {
    const { topology, progress } = this.#options;
    const encap = chooseEncap(topology, await hasIpip());
    if (topology.encap === 'auto' && encap !== 'none')
      progress(
        encap === 'ipip'
          ? `IPIP between the subnets (${topology.mode}), VXLAN for IPv6`
          : `VXLAN between the subnets (${topology.mode}): this kernel has no ipip`,
      );
    return encap;
  }

  #describeSubnets(): string {
    if (this.#subnets.length === 1) return `on bridge ${this.#subnets[0]!.bridge}`;
    const nets = this.#subnets.map(({ ipv4 }) => ipv4.replace(/1$/, '0/24'));
    return `on ${nets.join(' and ')}`;
  }

  #families(): (4 | 6)[] {
    return this.#options.topology.ipv6 ? [4, 6] : [4];
  }

  #node(name: string): LabNode {
    const node = this.#nodes.get(name);
    if (!node) throw new Error(`node ${name} does not exist; nodes: ${[...this.#nodes.keys()].join(', ')}`);
    return node;
  }

  #forgetPod(pod: LabPod): void {
    this.#prober.remove(pod.name);
    this.#pods.delete(pod.name);
  }

  #cni(node: string, environment: Record<string, string>) {
    return callAgent(this.#node(node).runDirectory, environment);
  }

  async #createObjects(): Promise<void> {
    for (const object of clusterObjects(this.#options.topology, await this.#encap())) {
      const definition = findKind(object.kind);
      if (!definition) throw new Error(`topology: objects: unknown kind ${object.kind}`);
      await this.#controlPlane.client.create(definition, object);
    }
  }

  /** Path of the socket on which a node's agent answers calictl. */
  agentSocket(name: string): string {
    return path.join(this.#node(name).runDirectory, AGENT_SOCKET);
  }
}

async function each<T>(items: readonly T[], action: (item: T) => Promise<void>): Promise<void> {
  await Promise.all(items.map(action));
}
