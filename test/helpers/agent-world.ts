/**
 * Complete agents of a few nodes: an API server, kernels, a network and time in memory. The runtime's calls reach the
 * CNI plugin as its socket passes them.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Agent } from '../../agent/agent.ts';
import { readConfig } from '../../agent/inputs/environment.ts';
import type { CniAnswer, Plugin } from '../../cni/plugin.ts';
import { nodeKind, podKind } from '../../datastore/schema/core.ts';
import { renderChange } from '../../kernel/change.ts';
import type { Routes } from '../../lib/http.ts';
import { silentLog } from '../../lib/log.ts';
import { DEFAULT_PROTOCOLS } from '../../model/route-protocols.ts';
import { FakeKernel } from './fake-kernel.ts';
import { MemoryCluster } from './memory-cluster.ts';
import { MemoryNetwork } from './memory-network.ts';
import { VirtualTime } from './virtual-time.ts';

/** A machine: what it has survives its agent. */
interface Machine {
  readonly address: string;
  readonly kernel: FakeKernel;
  readonly files: Map<string, string>;
  readonly runDirectory: string;
  agent: Agent | undefined;
  plugin: Pick<Plugin, 'handle'> | undefined;
  routes: Routes;
}

export class AgentWorld {
  readonly time: VirtualTime;
  readonly cluster = new MemoryCluster();
  readonly network: MemoryNetwork;
  readonly #root = mkdtempSync(path.join(os.tmpdir(), 'cali-agents-'));
  readonly #machines = new Map<string, Machine>();
  #pods = 0;

  constructor(seed = 1) {
    this.time = new VirtualTime(seed);
    this.network = new MemoryNetwork(this.time);
  }

  /** Adds nodes n1, n2 and so on, and lets their agents start. */
  static async open(count: number, seed = 1): Promise<AgentWorld> {
    const world = new AgentWorld(seed);
    for (let i = 1; i <= count; i++) await world.addNode(i);
    await world.pass(30);
    return world;
  }

  async addNode(number: number): Promise<void> {
    const name = `n${number}`;
    const address = `10.0.0.${number}`;
    const kernel = new FakeKernel();
    kernel.network.createCard('eth0', `02:00:00:00:01:0${number}`);
    kernel.change({ object: 'link', verb: 'set', name: 'eth0', isUp: true });
    kernel.change({ object: 'address', verb: 'add', cidr: `${address}/24`, device: 'eth0' });
    this.#machines.set(name, {
      ...{ address, kernel, files: new Map(), runDirectory: path.join(this.#root, name) },
      ...{ agent: undefined, plugin: undefined, routes: {} },
    });
    await this.cluster.create(nodeKind, {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name },
      spec: {},
      status: { addresses: [{ type: 'InternalIP', address }] },
    });
    await this.start(name);
  }

  /** Starts an agent. */
  async start(name: string): Promise<void> {
    const machine = this.machine(name);
    const { kernel, files, address, runDirectory } = machine;
    const agent = await Agent.create(
      {
        ...readConfig({ NODENAME: name, IP: 'autodetect', IP6: 'none', ...pool }),
        runDirectory,
      },
      {
        api: { client: this.cluster, hostname: '10.0.0.254', register: () => {} },
        kernel,
        time: this.time,
        transport: this.network.host(address),
        files: {
          read: async () => [...files].map(([file, text]) => ({ name: file, text })),
          write: (file, text) => void files.set(file, text),
          remove: async (file) => void files.delete(file),
        },
        serve: {
          cni: async (_, plugin) => {
            machine.plugin = plugin;
            return { close: () => {} };
          },
          http: async (at, routes) => {
            if ('path' in at) machine.routes = routes;
            return { close: () => {} };
          },
        },
        log: silentLog,
        setSeverity: () => {},
        restart: () => void this.restart(name),
      },
    );
    machine.agent = agent;
    void agent.start();
  }

  /** Ends an agent as an upgrade does. */
  async stop(name: string): Promise<void> {
    const machine = this.machine(name);
    const { agent } = machine;
    machine.agent = undefined;
    machine.plugin = undefined;
    await agent?.stop();
  }

  async restart(name: string): Promise<void> {
    await this.stop(name);
    await this.start(name);
  }

  async close(): Promise<void> {
    for (const name of this.#machines.keys()) await this.stop(name);
    rmSync(this.#root, { recursive: true, force: true });
  }

  /** Lets time pass. */
  pass(seconds: number): Promise<void> {
    return this.time.run(seconds * 1000);
  }

  machine(name: string): Machine {
    const machine = this.#machines.get(name);
    if (!machine) throw new Error(`no node ${name}`);
    return machine;
  }

  /** What the agent reports to calictl. */
  async status(name: string): Promise<{ notReady: string[] }> {
    const answer = await this.machine(name).routes['/v1/status']?.(new URLSearchParams());
    return JSON.parse(answer?.body ?? '{"notReady":["no agent"]}') as { notReady: string[] };
  }

  /** Adds a pod to a node. Returns its name and the runtime's answer. */
  async addPod(node: string): Promise<{ pod: string; answer: CniAnswer }> {
    const pod = `p${++this.#pods}`;
    await this.cluster.create(podKind, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: pod, namespace: 'default' },
      spec: { nodeName: node },
      status: {},
    });
    this.machine(node).kernel.pods.create(`/run/netns/${pod}`);
    return { pod, answer: await this.call(node, 'ADD', pod) };
  }

  /** Makes a CNI call, while time passes as far as the call needs it. */
  async call(node: string, command: string, pod: string): Promise<CniAnswer> {
    const { plugin } = this.machine(node);
    if (!plugin) return { exitCode: 1, output: 'no agent' };
    const environment = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: pod,
      CNI_IFNAME: 'eth0',
      CNI_NETNS: `/run/netns/${pod}`,
      CNI_ARGS: `K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod}`,
    };
    const stdin = JSON.stringify({ cniVersion: '1.1.0', name: 'k8s-pod-network', type: 'cali' });
    let answer: CniAnswer | undefined;
    void plugin.handle({ environment, stdin }).then((given) => {
      answer = given;
    });
    for (let waits = 0; waits < 1000 && !answer; waits++) await this.time.run(10);
    return answer ?? { exitCode: 1, output: 'no answer' };
  }

  /** Routes that a node learned, as `destination via gateway dev device`, sorted. */
  learned(node: string): string[] {
    return this.machine(node)
      .kernel.network.routes.filter(({ protocol }) => protocol === DEFAULT_PROTOCOLS.bgp)
      .map(({ destination, hops }) =>
        [destination, ...hops.map(({ gateway, device }) => `via ${gateway} dev ${device}`)].join(' '),
      )
      .sort();
  }

  /** Changes that a node's agent has made since the last call, in iproute2's syntax. */
  takeChanges(node: string): string[] {
    return this.machine(node).kernel.changes.splice(0).map(renderChange);
  }
}

/** The pool that the first agent creates. */
const pool = {
  CALICO_IPV4POOL_CIDR: '10.244.0.0/16',
  CALICO_IPV4POOL_BLOCK_SIZE: '26',
  CALICO_IPV4POOL_IPIP: 'Never',
};
