/** The tests' access to the cluster: kubectl, pods that serve and probe, flows between them. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { root, until } from '../helpers/lab.ts';
import { cluster, tool } from './set-up.ts';

/** The manifests' placeholder; the test loads the image under this name. */
export const IMAGE = 'set-your-registry.invalid/cali/node:0.1.0';
export const WEB = 'docker.io/cali/web:1';
export const NODES = ['node1', 'node2', 'node3'];

export const kubectl = (...args: string[]) => cluster('kubectl', ...args);

/** Runs calictl in a node's agent. */
export function calictl(node: string, ...args: string[]): { status: number; stdout: string; output: string } {
  const { status, stdout, stderr } = spawnSync(
    tool,
    ['kubectl', '-n', 'kube-system', 'exec', '-i', agentOn(node), '--', 'calictl', ...args],
    { encoding: 'utf8' },
  );
  return { status: status ?? 1, stdout, output: `${stdout}${stderr}` };
}

/** Returns the name of a node's agent pod. */
export function agentOn(node: string): string {
  return pods('k8s-app=cali-node', 'kube-system').find(({ spec }) => spec.nodeName === node)!.metadata.name;
}

export interface PodObject {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly nodeName: string };
  readonly status: {
    readonly podIP?: string;
    readonly phase: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly { readonly containerID?: string }[];
  };
}

export function pods(selector: string, namespace = 'default'): readonly PodObject[] {
  const text = kubectl('get', 'pods', '-n', namespace, '-l', selector, '-o', 'json');
  return (JSON.parse(text) as { items: PodObject[] }).items;
}

export const isReady = ({ status, metadata }: PodObject) =>
  metadata.deletionTimestamp === undefined &&
  status.podIP !== undefined &&
  (status.conditions ?? []).some(({ type, status: value }) => type === 'Ready' && value === 'True');

/** Waits until there are `count` pods and all of them are Ready, and returns them. */
export async function ready(
  selector: string,
  count: number,
  timeoutMs = 120_000,
): Promise<readonly PodObject[]> {
  let list: readonly PodObject[] = [];
  await until(`${count} pods with ${selector} are Ready`, timeoutMs, () => {
    list = pods(selector);
    return list.length === count && list.every(isReady);
  });
  return list;
}

/** A DaemonSet or Deployment of web servers that answer with their host name on 8080. */
export const serving = (
  kind: 'DaemonSet' | 'Deployment',
  name: string,
  more: object = {},
  spec: object = {},
) => ({
  apiVersion: 'apps/v1',
  kind,
  metadata: { name },
  spec: {
    selector: { matchLabels: { app: name } },
    ...(kind === 'Deployment' ? { replicas: 1 } : {}),
    ...spec,
    template: {
      metadata: { labels: { app: name } },
      spec: {
        terminationGracePeriodSeconds: 0,
        containers: [
          {
            name: 'web',
            image: WEB,
            imagePullPolicy: 'IfNotPresent',
            command: ['sh', '-c', 'hostname > /www/index.html; exec httpd -f -p 8080 -h /www'],
            ...more,
          },
        ],
      },
    },
  },
});

export function apply(...objects: object[]): void {
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
  const { status, stderr } = spawnSync(tool, ['kubectl', 'apply', '-f', '-'], { input, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}

/**
 * Applies a folder of deploy/ and returns kubectl's output. This machine's kubectl builds it, because the cluster's does not
 * support folders as resources.
 */
export function applyFolder(name: string): string {
  const folder = path.join(root, 'deploy', name);
  const { status, stdout, stderr } = spawnSync('kubectl', ['kustomize', folder], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  const applied = spawnSync(tool, ['kubectl', 'apply', '-f', '-'], { input: stdout, encoding: 'utf8' });
  if (applied.status !== 0) throw new Error(applied.stderr);
  return applied.stdout;
}

/** Runs a shell command in a pod and returns its output. */
export const inPod = (name: string, command: string) => kubectl('exec', name, '--', 'sh', '-c', command);

/** Runs a shell command in a node's namespaces. */
export const onNode = (node: string, command: string) => cluster('exec', node, 'sh', '-c', command);

/** A shell loop that prints each target that does not answer. */
export const asking = (targets: readonly string[]) =>
  `for t in ${targets.join(' ')}; do timeout 5 wget -q -O /dev/null http://$t/ || echo $t; done`;

/** Returns every failed pair as `from to target`. */
export function unreachable(froms: readonly PodObject[], targets: readonly string[]): string[] {
  return froms.flatMap(({ metadata: { name } }) =>
    inPod(name, asking(targets))
      .split('\n')
      .filter(Boolean)
      .map((target) => `${name} to ${target}`),
  );
}

/**
 * A ping every 10 ms in a pod's network namespace. Uses Debian's ping, because BusyBox's loses replies that it has no
 * time to read. Writes into a file, because the test does not read a pipe while it waits for kubectl.
 */
class Ping {
  readonly #child: ChildProcess;
  readonly #file: string;
  readonly name: string;

  constructor(from: PodObject, address: string) {
    this.name = `${from.metadata.name} to ${address}`;
    this.#file = path.join(mkdtempSync(path.join(os.tmpdir(), 'cali-ping-')), 'output');
    const output = openSync(this.#file, 'w');
    const pid = processOf(from);
    if (pid === undefined) throw new Error(`${from.metadata.name} is not running`);
    this.#child = spawn('nsenter', ['-t', String(pid), '-n', 'ping', '-n', '-i', '0.01', address], {
      stdio: ['ignore', output, 'ignore'],
    });
    closeSync(output);
  }

  /** Stops it. Returns the number of pings sent up to the last one answered, and how many of these were lost. */
  async stop(): Promise<{ sent: number; lost: number }> {
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.kill('SIGINT');
    await ended;
    let received = 0;
    let sent = 0;
    for (const [line, sequence] of readFileSync(this.#file, 'utf8').matchAll(/^.*icmp_seq=(\d+) .*$/gm)) {
      if (line.includes('DUP!')) continue;
      received++;
      // Sequence numbers have 16 bits: 0 follows 65535.
      const next = Math.floor(sent / 65_536) * 65_536 + Number(sequence);
      sent = next < sent - 32_768 ? next + 65_536 : Math.max(sent, next);
    }
    rmSync(path.dirname(this.#file), { recursive: true });
    return { sent, lost: sent - received };
  }
}

/** A ping every 10 ms between all pairs of pods, and a TCP stream from each pod to the next. */
export class Flows {
  readonly #pods: readonly PodObject[];
  readonly #pings: Ping[] = [];
  readonly #streams: { from: string; to: string; address: string }[] = [];

  constructor(list: readonly PodObject[]) {
    this.#pods = list;
  }

  start(): void {
    for (const [index, { metadata, status }] of this.#pods.entries()) {
      inPod(
        metadata.name,
        'rm -f /tmp/*; (sleep 3600 | nc -l -p 9000 > /tmp/received) > /dev/null 2>&1 & true',
      );
      const next = this.#pods[(index + 1) % this.#pods.length]!;
      this.#streams.push({ from: next.metadata.name, to: metadata.name, address: status.podIP! });
    }
    for (const { from, address } of this.#streams)
      inPod(
        from,
        `((i=0; while [ ! -e /tmp/stop ]; do i=$((i+1)); echo $i; sleep 0.01; done; echo $i > /tmp/sent) | nc ${address} 9000) > /dev/null 2>&1 & true`,
      );
    for (const pod of this.#pods)
      for (const other of this.#pods) if (other !== pod) this.#pings.push(new Ping(pod, other.status.podIP!));
  }

  /** Stops them. Returns the number of pings sent, the losses, and the streams that did not carry everything. */
  async stop(): Promise<{ sent: number; lost: string[] }> {
    let all = 0;
    const lost: string[] = [];
    for (const ping of this.#pings) {
      const { sent, lost: missing } = await ping.stop();
      all += sent;
      if (missing !== 0 || sent === 0) lost.push(`${ping.name}: ${missing} of ${sent}`);
    }
    for (const { metadata } of this.#pods) inPod(metadata.name, 'touch /tmp/stop');
    for (const { from, to } of this.#streams) {
      let last = '';
      let received = '';
      await until('everything that was sent has been received', 5_000, () => {
        last = inPod(from, 'cat /tmp/sent || true').trim();
        received = inPod(to, 'tail -n 1 /tmp/received').trim();
        return last !== '' && received === last;
      }).catch(() =>
        lost.push(`stream from ${from} to ${to}: ${received || 'nothing'} of ${last || 'unknown'}`),
      );
    }
    return { sent: all, lost };
  }
}

/** Returns the PID, on this machine, of a pod's first container; undefined while it is not running. */
function processOf({ spec, status }: PodObject): number | undefined {
  const id = status.containerStatuses?.[0]?.containerID?.replace('containerd://', '');
  if (id === undefined) return undefined;
  const line = cluster('exec', spec.nodeName, 'ctr', '-n', 'k8s.io', 'task', 'ls')
    .split('\n')
    .find((one) => one.startsWith(id));
  const [, pid, state] = line?.split(/\s+/) ?? [];
  return state === 'RUNNING' ? Number(pid) : undefined;
}

/** Kills a pod's first container as a crash would. Returns false if it is not running. */
export function killContainer(pod: PodObject): boolean {
  const pid = processOf(pod);
  if (pid === undefined) return false;
  try {
    return process.kill(pid, 'SIGKILL');
  } catch (error) {
    // The process ended during the lookup.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}
