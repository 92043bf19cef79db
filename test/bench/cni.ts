/**
 * npm run bench:cni [-- --count 100 | --small] [--ipv6]: measures pod ADD and DEL through the C shim and cali-node, and
 * through Debian's ptp + host-local, in turns in one run on one node of a lab. Ours does more: it reads the Pod and its
 * Namespace, assigns by compare-and-swap in the API server (on disk before the response) and annotates the Pod; ptp
 * writes a file. Then it adds 110 pods at once, the limit of a node, and measures what only starting a plugin costs.
 */

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { KubernetesClient } from '../../datastore/kubernetes/client.ts';
import { loadApiServerAddress } from '../../datastore/kubernetes/load-address.ts';
import { podKind } from '../../datastore/schema/core.ts';
import { askLab, execCommand } from '../../lab/outside.ts';
import { parseArguments } from '../../lib/arguments.ts';
import { plainTable } from '../../lib/table.ts';
import { machine } from './machine.ts';
import { quantile } from './statistics.ts';

const { values } = parseArguments({
  options: {
    count: { type: 'string', default: '100' },
    /** A run of seconds to show that the bench works; its figures mean nothing. */
    small: { type: 'boolean', default: false },
    ipv6: { type: 'boolean', default: false },
    inside: { type: 'boolean', default: false },
    shim: { type: 'string', default: '' },
  },
});
const count = values.small ? 4 : Number(values.count);
const TURN = 10;
/** The kubelet's default limit of pods on a node. */
const burst = values.small ? 4 : 110;
const PLUGINS = '/usr/lib/cni';
const hasPtp = existsSync(path.join(PLUGINS, 'ptp')) && existsSync(path.join(PLUGINS, 'host-local'));

await (values.inside ? inside() : outside());

/** Starts a lab of one node and runs the measurement inside it. */
async function outside(): Promise<void> {
  const root = path.resolve(import.meta.dirname, '..');
  const directory = mkdtempSync(path.join(os.tmpdir(), 'cali-bench-'));
  process.env['CALI_LAB_DIR'] = path.join(directory, 'lab');
  const shim = path.join(directory, 'cali');
  const gcc = spawnSync('gcc', ['-O2', '-static', '-o', shim, path.join(root, 'cni', 'shim.c')], {
    encoding: 'utf8',
  });
  if (gcc.status !== 0) throw new Error('bench:cni needs gcc for the shim: apt-get install gcc libc6-dev');
  if (!hasPtp)
    process.stdout.write(
      'ptp and host-local are not installed (Debian: containernetworking-plugins): measuring only cali\n',
    );
  const args = ['start', '--json', '--nodes', '1', '--pods', '0', ...(values.ipv6 ? [] : ['--no-ipv6'])];
  const lab = spawn(process.execPath, [path.join(root, 'dist', 'cali-lab.js'), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => lab.once('exit', resolve));
  try {
    for await (const line of createInterface({ input: lab.stdout })) if (line.includes('"ready"')) break;
    await askLab({ do: 'show' });
    process.stdout.write(`${machine()}\n\n`);
    const self = [
      process.execPath,
      import.meta.filename,
      '--inside',
      '--shim',
      shim,
      '--count',
      String(count),
      ...(values.small ? ['--small'] : []),
    ];
    const [file, ...rest] = execCommand('node1', self);
    process.exitCode = spawnSync(file!, rest, { stdio: 'inherit' }).status ?? 1;
  } finally {
    lab.kill('SIGTERM');
    await ended;
    rmSync(directory, { recursive: true, force: true });
  }
}

interface Plugin {
  readonly name: string;
  readonly program: string;
  readonly config: string;
  readonly environment: (id: string) => Record<string, string>;
  readonly short: string;
  readonly add: number[];
  readonly del: number[];
  /** The start of the plugin, its connection and its answer. */
  readonly version: number[];
  /** Until the last of all simultaneous ADDs has its answer. */
  burstMs: number;
}

function noFigures() {
  return { add: [], del: [], version: [], burstMs: Number.NaN };
}

async function inside(): Promise<void> {
  const store = new KubernetesClient(await loadApiServerAddress(undefined));
  const cali: Plugin = {
    name: 'cali (shim, agent, API server)',
    short: 'cali',
    program: values.shim,
    config: JSON.stringify({ cniVersion: '1.0.0', name: 'bench', type: 'cali' }),
    environment: (id) => ({
      CALI_CNI_SOCKET: `${process.env['CALI_RUN_DIR']}/cni.sock`,
      CNI_ARGS: `K8S_POD_NAMESPACE=default;K8S_POD_NAME=${id}`,
    }),
    ...noFigures(),
  };
  const ipam = {
    type: 'host-local',
    ranges: [[{ subnet: '10.200.0.0/16' }]],
    dataDir: '/run/host-local',
    routes: [{ dst: '0.0.0.0/0' }],
  };
  const ptp: Plugin = {
    name: 'ptp + host-local (Debian)',
    short: 'ptp',
    program: path.join(PLUGINS, 'ptp'),
    config: JSON.stringify({ cniVersion: '1.0.0', name: 'bench-ptp', type: 'ptp', ipam }),
    environment: () => ({}),
    ...noFigures(),
  };
  const plugins = hasPtp ? [cali, ptp] : [cali];
  const prepare = async (plugin: Plugin, id: string) => {
    spawnSync('ip', ['netns', 'add', id]);
    const metadata = { name: id, namespace: 'default' };
    if (plugin === cali)
      await store.create(podKind, { apiVersion: 'v1', kind: 'Pod', metadata, spec: { nodeName: 'node1' } });
  };
  // In turns of ten, so that both meet the same conditions and neither runs while the other is measured.
  for (let turn = 0; turn < Math.ceil(count / TURN) * plugins.length; turn++) {
    const plugin = plugins[turn % plugins.length]!;
    const first = Math.floor(turn / plugins.length) * TURN;
    for (let i = first; i < Math.min(first + TURN, count); i++) {
      const id = `bench-${i}-${plugins.indexOf(plugin)}`;
      await prepare(plugin, id);
      plugin.add.push(call(plugin, 'ADD', id));
      plugin.version.push(call(plugin, 'VERSION', id));
      // Every second pod stays, so that the node fills up like a real one.
      if (i % 2 === 0) plugin.del.push(call(plugin, 'DEL', id));
    }
    // What follows a DEL in the background belongs to no other plugin's turn.
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
  for (const plugin of plugins) await measureBurst(plugin, prepare);
  const baseline = hasPtp ? ptp : cali;
  const rows = plugins.map((plugin) => [
    plugin.name,
    ...[0.5, 0.9, 0.99].map((share) => ms(quantile(plugin.add, share))),
    ...[0.5, 0.9].map((share) => ms(quantile(plugin.del, share))),
    ms(plugin.burstMs),
    ms(quantile(plugin.version, 0.5)),
  ]);
  const ratios = [
    'cali : ptp',
    ...[0.5, 0.9, 0.99].map((share) => ratio(quantile(cali.add, share), quantile(baseline.add, share))),
    ...[0.5, 0.9].map((share) => ratio(quantile(cali.del, share), quantile(baseline.del, share))),
    ratio(cali.burstMs, baseline.burstMs),
    ratio(quantile(cali.version, 0.5), quantile(baseline.version, 0.5)),
  ];
  const header = [
    '',
    'ADD p50',
    'ADD p90',
    'ADD p99',
    'DEL p50',
    'DEL p90',
    `${burst} ADDs at once`,
    'VERSION p50',
  ];
  process.stdout.write(`${plainTable(header, hasPtp ? [...rows, ratios] : rows)}\n`);
  process.stdout.write(`${count} pods each, in turns of ${TURN}, one at a time.\n`);
}

/** Adds as many pods at once as a node may have, and deletes them one by one. */
async function measureBurst(
  plugin: Plugin,
  prepare: (plugin: Plugin, id: string) => Promise<void>,
): Promise<void> {
  const ids = Array.from({ length: burst }, (_, i) => `burst-${i}-${plugin.short}`);
  for (const id of ids) await prepare(plugin, id);
  const startedAt = performance.now();
  await Promise.all(ids.map((id) => callAsync(plugin, 'ADD', id)));
  plugin.burstMs = performance.now() - startedAt;
  for (const id of ids) call(plugin, 'DEL', id);
  await new Promise((resolve) => setTimeout(resolve, 5000));
}

function ms(value: number): string {
  return `${value.toFixed(1)} ms`;
}

function ratio(ours: number, theirs: number): string {
  return (ours / theirs).toFixed(2);
}

/** Returns the milliseconds of one call, including the start of the process. */
function call(plugin: Plugin, command: string, id: string): number {
  const startedAt = performance.now();
  const { status, stdout, stderr } = spawnSync(plugin.program, {
    env: environmentOf(plugin, command, id),
    input: plugin.config,
    encoding: 'utf8',
  });
  const elapsed = performance.now() - startedAt;
  if (status !== 0) throw new Error(`${plugin.name}: ${command} ${id}: ${stdout}${stderr}`);
  return elapsed;
}

/** Makes a call without waiting for others. Rejects when it fails. */
function callAsync(plugin: Plugin, command: string, id: string): Promise<void> {
  const child = spawn(plugin.program, {
    env: environmentOf(plugin, command, id),
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stdin.end(plugin.config);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) =>
      status === 0 ? resolve() : reject(new Error(`${plugin.name}: ${command} ${id}: ${output}`)),
    );
  });
}

function environmentOf(plugin: Plugin, command: string, id: string): NodeJS.ProcessEnv {
  return {
    ...process.env,
    CNI_COMMAND: command,
    CNI_CONTAINERID: id,
    CNI_NETNS: `/run/netns/${id}`,
    CNI_IFNAME: 'eth0',
    CNI_PATH: PLUGINS,
    ...plugin.environment(id),
  };
}
