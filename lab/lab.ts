/**
 * A cluster network on one machine: an API server, nodes with real agents, pods. Everything runs inside the namespaces
 * that lab/outside.ts created. This file does the work of Kubernetes (Node and Pod objects, CNI calls); the same
 * programs as on a cluster do Cali's work.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { stringify } from 'yaml';
import { AGENT_SOCKET, CNI_SOCKET } from '../agent/report/status.ts';
import { callCni } from '../cni/client.ts';
import { plainAddress } from '../datastore/kubernetes/api-server-address.ts';
import { KubernetesClient } from '../datastore/kubernetes/client.ts';
import { findKind } from '../datastore/registry.ts';
import { nodeKind, podKind } from '../datastore/schema/core.ts';
import { ipPoolKind } from '../datastore/schema/ip-pool.ts';
import { familyOf } from '../lib/cidr.ts';
import { counted } from '../lib/counted.ts';
import { messageOf } from '../lib/errors.ts';
import { assertFreeName } from './names.ts';
import {
  createNodeNamespace,
  createPodNamespace,
  createSubnets,
  deleteNamespace,
  hasIpip,
  LAB_IPV4,
  type NodeAddresses,
  netnsPath,
  nodeAddresses,
  portName,
  type Subnet,
  subnet,
} from './namespaces.ts';
import { probesBetween } from './pairs.ts';
import { type FlowReport, type Probe, Prober } from './prober.ts';
import { LabProcess } from './process.ts';
import type { Waiting } from './screen.ts';
import { loadSockets } from './setns.ts';
import { chooseEncap, type Encap, poolModes, type Topology } from './topology.ts';

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

export const LAB_DIRECTORY = '/run/cali-lab';
const API_PORT = 6443;
/** Generous: inside user-mode Linux a program takes seconds to start. */
export const AGENT_TIMEOUT_MS = 120_000;
const API_ATTEMPTS = 3000;
/** Longer than an ADD takes, so that its unfinished allocations do not count as leaks. */
const GRACE = os.cpus()[0]?.model === 'UML' ? '300s' : '10s';
const NETWORK = JSON.stringify({ cniVersion: '1.0.0', name: 'k8s-pod-network', type: 'cali' });
const NAMESPACE = 'default';
/** A node's IPv4 address is its number plus 10, in a /24 (namespaces.ts). */
const MAX_NODES = 244;

export class Lab {
  readonly #options: LabOptions;
  readonly #nodes = new Map<string, LabNode>();
  readonly #pods = new Map<string, LabPod>();
  readonly #addingPods = new Set<string>();
  readonly #client = new KubernetesClient(plainAddress(`http://${LAB_IPV4}:${API_PORT}`));
  #api!: LabProcess;
  #controllers: LabProcess | undefined;
  #prober!: Prober;
  #subnets: readonly Subnet[] = [];
  #nodeCount = 0;

  constructor(options: LabOptions) {
    this.#options = options;
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
    await mkdir(path.join(LAB_DIRECTORY, 'bin'), { recursive: true });
    await mkdir(path.join(LAB_DIRECTORY, 'log'), { recursive: true });
    await this.#writeTools();
    this.#startApi();
    wait({ what: 'API server', missing: () => ['its first answer'] });
    await this.#waitForApi();
    progress(`API server on ${LAB_IPV4}:${API_PORT}`);
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
    this.#startControllers();
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
    await this.#controllers?.end('SIGKILL');
    await this.#api?.end('SIGKILL');
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
    const agent = new LabProcess(
      [
        'nsenter',
        `--net=${netnsPath(name)}`,
        process.execPath,
        path.join(this.#options.programs, 'cali-node.js'),
      ],
      {
        NODENAME: name,
        KUBECONFIG: path.join(LAB_DIRECTORY, 'kubeconfig'),
        CALI_RUN_DIR: runDirectory,
        IP: 'autodetect',
        IP6: addresses.ipv6 ? 'autodetect' : 'none',
        ...(this.#options.logSeverity ? { BGP_LOGSEVERITYSCREEN: this.#options.logSeverity } : {}),
      },
      path.join(LAB_DIRECTORY, 'log', `${name}.log`),
    );
    const node: LabNode = { name, addresses, runDirectory, agent };
    this.#nodes.set(name, node);
    const { ipv4, ipv6 } = addresses;
    try {
      await createNodeNamespace(name, addresses, lan, portName(name, number));
      await this.#prober.add(name, netnsPath(name), this.#families(), { 4: ipv4, 6: ipv6 });
      await this.#client.create(nodeKind, {
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
      await this.#client.remove(podKind, pod.name, { namespace: NAMESPACE });
    }
    await this.#client.remove(nodeKind, name);
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
    await this.#controllers?.end('SIGTERM');
    this.#controllers?.start();
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
    await this.#client.create(podKind, {
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
      await this.#client.remove(podKind, name, { namespace: NAMESPACE });
      await deleteNamespace(netnsName(name));
      throw new Error(`pod ${name} on ${nodeName}: ${(JSON.parse(output) as { msg: string }).msg}`);
    }
    const { ips } = JSON.parse(output) as { ips: { address: string }[] };
    const addresses = ips.map(({ address }) => address.split('/')[0]!);
    const pod = { name, node: nodeName, netns, addresses };
    await this.#prober.add(name, netns, this.#families());
    this.#pods.set(name, pod);
    const status = { phase: 'Running', podIP: addresses[0], podIPs: addresses.map((ip) => ({ ip })) };
    await this.#client.patch(podKind, name, { status }, { namespace: NAMESPACE, isStatus: true });
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
    await this.#client.remove(podKind, name, { namespace: NAMESPACE });
  }

  async endApi(signal: NodeJS.Signals): Promise<void> {
    await this.#api.end(signal);
  }

  async startApi(): Promise<void> {
    this.#api.start();
    await this.#waitForApi();
  }

  /** Returns probes for every ordered pair of pods, and for every pod to every node, in each family of both. */
  allProbes(): Probe[] {
    const targets = [
      ...this.pods.map(({ name, addresses }) => ({ name, addresses })),
      ...this.nodes.map(({ name, addresses: { ipv4, ipv6 } }) => ({
        name,
        addresses: ipv6 ? [ipv4, ipv6] : [ipv4],
      })),
    ];
    return this.pods.flatMap((from) => targets.flatMap((to) => probesBetween(from, to)));
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
    const probes: Probe[] = [];
    for (const a of this.#nodes.keys()) {
      const [from] = this.pods.filter(({ node }) => node === a);
      if (!from) continue;
      for (const b of this.#nodes.keys()) {
        const to = this.pods.filter(({ node }) => node === b).at(-1);
        if (to) probes.push(...probesBetween(from, to));
      }
    }
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
    const socket = path.join(this.#node(node).runDirectory, CNI_SOCKET);
    return callCni(socket, { environment, stdin: NETWORK });
  }

  #startApi(): void {
    const state = path.join(LAB_DIRECTORY, 'api');
    const program = path.join(this.#options.programs, 'cali-api.js');
    const args = ['--directory', state, '--host', LAB_IPV4, '--port', String(API_PORT)];
    this.#api = new LabProcess(
      [process.execPath, program, ...args],
      {},
      path.join(LAB_DIRECTORY, 'log', 'api.log'),
    );
    this.#api.start();
  }

  #startControllers(): void {
    this.#controllers = new LabProcess(
      [process.execPath, path.join(this.#options.programs, 'cali-controllers.js')],
      { KUBECONFIG: path.join(LAB_DIRECTORY, 'kubeconfig') },
      path.join(LAB_DIRECTORY, 'log', 'controllers.log'),
    );
    this.#controllers.start();
  }

  async #waitForApi(): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#client.list(ipPoolKind);
        return;
      } catch (error) {
        if (attempt > API_ATTEMPTS || !this.#api.isRunning) {
          throw new Error(
            `the API server did not start: ${messageOf(error)} (log: ${LAB_DIRECTORY}/log/api.log)`,
            { cause: error },
          );
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  async #createObjects(): Promise<void> {
    const { topology } = this.#options;
    const defaults = [
      { name: 'default-ipv4-ippool', cidr: '10.244.0.0/16' },
      ...(topology.ipv6 ? [{ name: 'default-ipv6-ippool', cidr: 'fd00:10:244::/48' }] : []),
    ];
    const encap = await this.#encap();
    const pools = topology.pools?.map((spec, i) => ({ name: `pool${i + 1}`, ...spec })) ?? defaults;
    for (const { name, ...spec } of pools) {
      const modes =
        'ipipMode' in spec || 'vxlanMode' in spec ? {} : poolModes(encap, topology.mode, familyOf(spec.cidr));
      await this.#client.create(ipPoolKind, {
        apiVersion: 'projectcalico.org/v3',
        kind: 'IPPool',
        metadata: { name },
        spec: { natOutgoing: true, ...modes, ...spec },
      });
    }
    for (const object of [...this.#collection(), ...topology.objects]) {
      const definition = findKind(object.kind);
      if (!definition) throw new Error(`topology: objects: unknown kind ${object.kind}`);
      await this.#client.create(definition, object);
    }
  }

  /** Sets how soon cali-controllers collect what pods and nodes leave behind, unless the topology sets it. */
  #collection(): Topology['objects'] {
    const kind = 'KubeControllersConfiguration';
    if (this.#options.topology.objects.some((object) => object.kind === kind)) return [];
    const apiVersion = 'projectcalico.org/v3';
    const node = { reconcilerPeriod: GRACE, leakGracePeriod: GRACE };
    return [{ apiVersion, kind, metadata: { name: 'default' }, spec: { controllers: { node } } }];
  }

  /** Writes a kubeconfig, and puts calictl on the PATH of `lab exec`. */
  async #writeTools(): Promise<void> {
    const server = `http://${LAB_IPV4}:${API_PORT}`;
    const kubeconfig = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'lab', cluster: { server } }],
      users: [{ name: 'lab', user: {} }],
      contexts: [{ name: 'lab', context: { cluster: 'lab', user: 'lab' } }],
      'current-context': 'lab',
    };
    await writeFile(path.join(LAB_DIRECTORY, 'kubeconfig'), stringify(kubeconfig));
    const script = `#!/bin/sh\nexec "${process.execPath}" "${path.join(this.#options.programs, 'calictl.js')}" "$@"\n`;
    await writeFile(path.join(LAB_DIRECTORY, 'bin', 'calictl'), script, { mode: 0o755 });
  }

  /** Path of the socket on which a node's agent answers calictl. */
  agentSocket(name: string): string {
    return path.join(this.#node(name).runDirectory, AGENT_SOCKET);
  }
}

async function each<T>(items: readonly T[], action: (item: T) => Promise<void>): Promise<void> {
  await Promise.all(items.map(action));
}

/** No node's namespace has such a name: names have no underscore. */
function netnsName(pod: string): string {
  return `pod_${pod}`;
}

function podEnvironment(command: string, name: string, netns: string): Record<string, string> {
  return {
    CNI_COMMAND: command,
    CNI_CONTAINERID: `lab-${name}`,
    CNI_NETNS: netns,
    CNI_IFNAME: 'eth0',
    CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${NAMESPACE};K8S_POD_NAME=${name}`,
  };
}
