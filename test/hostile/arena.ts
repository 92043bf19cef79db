/** A lab with an attacker: raw packets, a BGP speaker, objects that bypass calictl's checks, and what these changed. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { expect } from 'vitest';
import type { AgentStatus } from '../../agent/report/status.ts';
import { Journal } from '../../datastore/embedded/journal.ts';
import type { AnyResource } from '../../datastore/schema/resource.ts';
import { execCommand } from '../../lab/outside.ts';
import { familyOf } from '../../lib/cidr.ts';
import { type Followed, TestLab, until } from '../helpers/lab.ts';
import type { Conversation } from './bgp.ts';
import { type Header, udp } from './packets.ts';

const API = 'http://172.18.0.1:6443';
/** MAC address of every pod's gateway. */
export const GATEWAY = 'ee:ee:ee:ee:ee:ee';
/** UDP port of the servers that record datagrams. */
export const PORT = 7070;
/** Time limit for waits, enough for a machine five times slower than ours. */
export const PATIENCE_MS = 120_000;

export interface Pod {
  readonly name: string;
  readonly node: string;
  readonly addresses: readonly string[];
}

/** How a packet leaves: an interface of a namespace, and the destination MAC address. */
export interface Link {
  readonly place: string;
  readonly link: string;
  readonly mac: string;
}

export interface Request {
  readonly method: string;
  readonly path: string;
  readonly type?: string;
  readonly body?: unknown;
}

export interface Answer {
  readonly status: number;
  readonly body: { readonly message?: string; readonly [key: string]: unknown } | undefined;
}

/** An event that the attacker's BGP speaker saw. */
interface Seen {
  readonly event: string;
  readonly code?: number | string;
  readonly subcode?: number;
}

export class Arena {
  readonly lab: TestLab;
  readonly nodes: readonly string[];
  /** PID of the lab's first process, which gives access to the lab's files from outside. */
  readonly pid: number;
  readonly #directory: string;
  readonly #root: string;
  #fences = 0;
  #conversations = 0;

  private constructor(lab: TestLab, nodes: readonly string[], directory: string) {
    this.lab = lab;
    this.nodes = nodes;
    this.#directory = directory;
    this.pid = Number(execCommand('lab', [])[2]);
    this.#root = `/proc/${this.pid}/root`;
  }

  /** Starts a lab with this number of nodes. Further flags are those of `npm start`. */
  static async start(nodes: number, ...flags: readonly string[]): Promise<Arena> {
    const directory = mkdtempSync(path.join(os.tmpdir(), 'cali-hostile-'));
    const source = path.join(import.meta.dirname, 'wire.c');
    const built = spawnSync('gcc', ['-O1', '-o', path.join(directory, 'wire'), source], { encoding: 'utf8' });
    if (built.status !== 0) throw new Error(`wire.c: ${built.error?.message ?? built.stderr}`);
    const lab = await TestLab.start(['--nodes', String(nodes), ...flags]);
    return new Arena(
      lab,
      Array.from({ length: nodes }, (_, i) => `node${i + 1}`),
      directory,
    );
  }

  async stop(): Promise<void> {
    await this.lab.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async pods(): Promise<Pod[]> {
    return ((await this.lab.ask({ do: 'show' })) as { pods: Pod[] }).pods;
  }

  /** Returns a pod's address of a family. */
  async address(pod: string, family: 4 | 6): Promise<string> {
    const found = (await this.pods()).find(({ name }) => name === pod);
    return found!.addresses.find((address) => familyOf(address) === family)!;
  }

  /** Returns an interface's MAC address. */
  mac(place: string, link: string): string {
    return /link\/ether (\S+)/.exec(this.lab.sh(place, `ip -o link show dev ${link}`))![1]!;
  }

  // ---- packets ----

  /** Sends packets unchanged from an interface to a MAC address. This bypasses all checks of the sender's kernel. */
  send(place: string, link: string, mac: string, packets: readonly Buffer[]): void {
    const lines = packets.map((packet) => `${packet.toString('hex')}\n`).join('');
    const { stderr } = this.lab.pipe(place, lines, path.join(this.#directory, 'wire'), 'send', link, mac);
    expect(stderr).toBe('');
  }

  /** Records an interface's packets from now on, in hex, each after `in` or `out`. */
  async listen(place: string, link: string): Promise<Followed> {
    const followed = this.lab.follow(place, path.join(this.#directory, 'wire'), 'listen', link);
    await until(`the listener in ${place} has started`, PATIENCE_MS, () => followed.lines.length > 0);
    return followed;
  }

  /** Records UDP datagrams to PORT, in hex, on every address of a namespace including loopback. */
  async serve(place: string): Promise<Followed> {
    const program = `const s=require('dgram').createSocket('udp6');s.on('message',(m)=>console.log('in '+m.toString('hex')));s.bind(${PORT},'::',()=>console.log('listening'))`;
    const followed = this.lab.follow(place, process.execPath, '-e', program);
    await until(`the server in ${place} has started`, PATIENCE_MS, () => followed.lines.length > 0);
    return followed;
  }

  /**
   * Sends packets and returns the names of those that arrive. Each packet carries its name as data. The fence is sent
   * last, on the same path, between addresses that must work: when it arrives, all earlier packets have.
   */
  async arrived(
    from: Link,
    observer: Followed,
    packets: Readonly<Record<string, Buffer>>,
    fence: Header,
  ): Promise<string[]> {
    const has = (text: string) =>
      observer.lines.some(
        (line) => line.startsWith('in ') && line.includes(Buffer.from(text).toString('hex')),
      );
    const send = (all: readonly Buffer[]) => this.send(from.place, from.link, from.mac, all);
    // Warm-up: kernels on the path resolve their neighbours before the packets that count.
    await until('an allowed packet arrives', PATIENCE_MS, () => {
      send([udp(fence, { to: PORT }, 'warm-up')]);
      return has('warm-up');
    });
    const mark = `fence ${this.#fences++}`;
    send([...Object.values(packets), udp(fence, { to: PORT }, mark)]);
    await until('the last packet arrives', PATIENCE_MS, () => has(mark));
    await observer.stop();
    return Object.keys(packets).filter(has);
  }

  // ---- BGP ----

  /** Starts the attacker's BGP speaker in a pod, a node or the stranger. */
  speak(place: string, conversation: Conversation): Attacker {
    const script = path.join(import.meta.dirname, 'speaker.mjs');
    // Passed as a file: thousands of routes do not fit on a command line.
    const file = path.join(this.#directory, `conversation-${this.#conversations++}.json`);
    writeFileSync(file, JSON.stringify(conversation));
    return new Attacker(this.lab.follow(place, process.execPath, script, file));
  }

  /** Sets the TTL and hop limit of the packets that a namespace sends; 255 is what GTSM expects. */
  setTtl(place: string, ttl: number): void {
    this.lab.sh(
      place,
      `echo ${ttl} > /proc/sys/net/ipv4/ip_default_ttl; for f in /proc/sys/net/ipv6/conf/*/hop_limit; do echo ${ttl} > $f; done`,
    );
  }

  /** Adds a host that is not part of the cluster to the nodes' link. */
  addStranger(name = 'stranger', addresses: readonly string[] = STRANGER_ADDRESSES): void {
    this.lab.sh(
      'lab',
      `ip netns add ${name}
       ip link add p-${name} type veth peer name eth0 netns ${name}
       ip link set p-${name} master lab0 up
       ip -n ${name} link set lo up`,
    );
    this.lab.sh(
      name,
      `${addresses.map((address) => `ip addr add ${address} dev eth0 nodad`).join('; ')}; ip link set eth0 up`,
    );
  }

  // ---- objects ----

  /** Sends requests to the API server as kubectl does, without calictl's checks. */
  request(...requests: readonly Request[]): Answer[] {
    const script = path.join(import.meta.dirname, 'requests.mjs');
    const { stdout, stderr } = this.lab.pipe('lab', JSON.stringify(requests), process.execPath, script, API);
    if (stdout === '') throw new Error(stderr);
    return JSON.parse(stdout) as Answer[];
  }

  /** Merges a change into an object, as the object's owner may. */
  patch(objectPath: string, body: object): Answer {
    return this.request({
      method: 'PATCH',
      path: objectPath,
      type: 'application/merge-patch+json',
      body,
    })[0]!;
  }

  /** Sets annotations of a Node; null removes one. */
  annotate(node: string, annotations: Readonly<Record<string, string | null>>): Answer {
    return this.patch(`/api/v1/nodes/${node}`, { metadata: { annotations } });
  }

  /** Writes objects into the store and bypasses the API server's validation, as an older CRD or none would have. */
  async plant(objects: Readonly<Record<string, AnyResource | null>>): Promise<void> {
    await this.lab.ask({ do: 'api stop' });
    const { journal, recovered } = await Journal.open(`${this.#root}/run/cali-lab/api`);
    let { revision } = recovered;
    for (const [key, object] of Object.entries(objects)) {
      revision++;
      const metadata = object && { ...object.metadata, resourceVersion: String(revision) };
      await journal.append({ revision, key, object: object && { ...object, metadata: metadata! } });
    }
    await journal.close();
    await this.lab.ask({ do: 'api start' });
    await this.#agentsWatchAgain();
  }

  /** Waits until agents watch the restarted API server again: each sees a peer being added and deleted. */
  async #agentsWatchAgain(): Promise<void> {
    const peerIP = `192.0.2.${(this.#fences++ % 250) + 1}`;
    const path = '/apis/projectcalico.org/v3/bgppeers';
    const body = {
      apiVersion: 'projectcalico.org/v3',
      kind: 'BGPPeer',
      metadata: { name: 'fence' },
      spec: { peerIP, asNumber: 64999 },
    };
    const isWatched = (expected: boolean) =>
      until(`every agent has ${expected ? 'added' : 'removed'} the peer`, PATIENCE_MS, async () => {
        const all = await Promise.all(this.nodes.map((node) => this.sessions(node)));
        return all.every((lines) => lines.some((line) => line.startsWith(peerIP)) === expected);
      });
    const [made] = this.request({ method: 'POST', path, body });
    expect(made!.status, made!.body?.message).toBe(201);
    await isWatched(true);
    this.request({ method: 'DELETE', path: `${path}/fence` });
    await isWatched(false);
  }

  // ---- effects ----

  /** Returns an agent's status from its socket. */
  status(node: string): Promise<AgentStatus> {
    return this.ask<AgentStatus>(node, '/v1/status');
  }

  ask<T>(node: string, question: string): Promise<T> {
    const socketPath = `${this.#root}/run/cali-lab/${node}/cali.sock`;
    return new Promise((resolve, reject) => {
      const request = http.get({ socketPath, path: question, agent: false }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve(JSON.parse(text) as T));
      });
      request.on('error', reject);
    });
  }

  /** Describes a node's sessions, with the fields that change when a session is lost. */
  async sessions(node: string): Promise<string[]> {
    const { bgp } = await this.status(node);
    return bgp.peers
      .map(({ config, state, flaps, since }) => `${config.address} ${state} since ${since}, ${flaps} flaps`)
      .sort();
  }

  /** Returns a node's routes in every table, its interfaces and its permanent neighbour entries. */
  kernel(node: string): string[] {
    const text = this.lab.sh(
      'lab',
      `for f in 4 6; do ip -n ${node} -$f route show table all; done
       ip -n ${node} -br link; ip -n ${node} neigh show nud permanent`,
    );
    return text
      .split('\n')
      .map((line) => line.trimEnd())
      .filter((line) => line !== '' && !line.includes(' expires '))
      .sort();
  }

  async state() {
    const each = await Promise.all(
      this.nodes.map(async (node) => {
        const { pid, startedAt } = await this.status(node);
        return {
          node,
          agent: { pid, startedAt },
          sessions: await this.sessions(node),
          kernel: this.kernel(node),
        };
      }),
    );
    return { each, namespaces: this.lab.sh('lab', 'ip netns list').split('\n').sort() };
  }

  /** Runs an attack and expects that it changes no route, interface, session or process of any node. */
  async unharmed(attack: () => unknown): Promise<void> {
    const before = await this.state();
    await attack();
    expect(await this.state()).toEqual(before);
  }

  /**
   * Waits until no session is new. In a session's first seconds, a second connection counts as a connection collision
   * (RFC 4271 section 6.8). That is a different case from an attack on an old session.
   */
  async sessionsAreOld(): Promise<void> {
    const NEW_MS = 6000;
    await until('every session has been up for 6 s', PATIENCE_MS, async () => {
      const all = await Promise.all(this.nodes.map((node) => this.status(node)));
      return all
        .flatMap(({ bgp }) => bgp.peers)
        .every(({ state, since }) => state === 'Established' && Date.now() - since > NEW_MS);
    });
  }

  /** Expects that all pods reach all pods and nodes, all agents run and all sessions are up. */
  async worksAsBefore(): Promise<void> {
    await until('all sessions are up', PATIENCE_MS, async () => {
      const all = await Promise.all(this.nodes.map((node) => this.sessions(node)));
      return all.flat().every((line) => line.includes(' Established '));
    });
    expect(await this.lab.unreachable(PATIENCE_MS)).toEqual([]);
  }
}

export const STRANGER = { 4: '172.18.0.66', 6: 'fd00:172:18::66' } as const;
const STRANGER_ADDRESSES = [`${STRANGER[4]}/24`, `${STRANGER[6]}/64`];

export class Attacker {
  readonly #followed: Followed;

  constructor(followed: Followed) {
    this.#followed = followed;
  }

  get events(): Seen[] {
    return this.#followed.lines.map((line) => JSON.parse(line) as Seen);
  }

  has(...events: readonly string[]): boolean {
    return this.events.some(({ event }) => events.includes(event));
  }

  /** Waits until one of these events has happened. */
  async until(...events: readonly string[]): Promise<void> {
    await until(`the attacker sees ${events.join(' or ')}`, PATIENCE_MS, () => this.has(...events));
  }

  /** Waits until the attempt has succeeded or failed. */
  async outcome(): Promise<'Established' | 'refused'> {
    await this.until('Established', 'timeout', 'failed', 'closed');
    return this.has('Established') ? 'Established' : 'refused';
  }

  async stop(): Promise<void> {
    await this.#followed.stop();
  }
}

/** A pod's interface, towards its node. */
export const podLink = (place: string): Link => ({ place, link: 'eth0', mac: GATEWAY });
