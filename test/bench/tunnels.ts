/**
 * npm run bench:tunnels [-- --runs 5 --seconds 5 | --small]: runs iperf3 between pods on two nodes. In one lab, it
 * measures our VXLAN and, set up by hand on the same nodes, the VXLAN devices of flannel and of Calico; in a lab of one
 * subnet, no tunnel. `--encap ipip` compares our IPIP with an ipip device set up by hand, if the kernel supports it.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { askLab, execCommand } from '../../lab/outside.ts';
import { parseArguments } from '../../lib/arguments.ts';
import { plainTable } from '../../lib/table.ts';
import { DEFAULT_PROTOCOLS } from '../../model/route-protocols.ts';
import { machine } from './machine.ts';

const { values } = parseArguments({
  options: {
    runs: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    encap: { type: 'string', default: 'vxlan' },
    /** A run of seconds to show that the bench works; its figures mean nothing. */
    small: { type: 'boolean', default: false },
  },
});
const runs = values.small ? 1 : Number(values.runs);
const seconds = values.small ? '1' : values.seconds;

/** A path from node1's pod to node2's. */
interface Way {
  readonly name: string;
  /** Returns the commands for one node, given its own data and the other node's. */
  readonly setUp?: (self: End, other: End) => string;
}

interface End {
  readonly node: string;
  readonly block: string;
  /** First address of its block, which no pod uses. */
  readonly vtep: string;
  readonly mac: string;
}

/** A VXLAN device as flannel and Calico make it: permanent entries, no learning. */
const vxlan = (device: string, id: number, port: number) => (self: End, other: End) =>
  `
  ip link del ${device} 2>/dev/null
  ip link add ${device} address ${self.mac} mtu 1450 type vxlan id ${id} dstport ${port} local ${self.node} dev eth0 nolearning
  ip addr add ${self.vtep}/32 dev ${device}
  ip link set ${device} up
  ip neigh replace ${other.vtep} lladdr ${other.mac} dev ${device} nud permanent
  bridge fdb replace ${other.mac} dev ${device} dst ${other.node} self permanent
  ip route replace ${other.block} via ${other.vtep} dev ${device} onlink`;

const ways: Readonly<Record<string, readonly Way[]>> = {
  vxlan: [
    { name: 'Cali, VXLAN' },
    { name: 'as flannel sets it up', setUp: vxlan('flannel.1', 1, 8472) },
    { name: 'as Calico sets it up', setUp: vxlan('vxlan.calico', 4097, 4790) },
  ],
  ipip: [
    { name: 'Cali, IPIP' },
    {
      name: 'manual ipip device',
      setUp: (self, other) => `
  ip link del byhand 2>/dev/null
  ip link add byhand mtu 1480 type ipip local ${self.node} remote ${other.node}
  ip link set byhand up
  ip route replace ${other.block} dev byhand`,
    },
  ],
};

const exec = (place: string, ...command: string[]) => {
  const [file, ...args] = execCommand(place, command);
  const { status, stdout, stderr } = spawnSync(file!, args, { encoding: 'utf8', timeout: 120_000 });
  if (status !== 0) throw new Error(`${place}: ${command.join(' ')}: ${stderr || stdout}`);
  return stdout;
};

async function withLab(flags: readonly string[], run: () => Promise<void>): Promise<void> {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'cali-bench-'));
  process.env['CALI_LAB_DIR'] = path.join(directory, 'lab');
  const program = path.join(import.meta.dirname, 'cali-lab.js');
  const args = ['start', '--json', '--nodes', '2', '--pods', '1', '--no-ipv6', ...flags];
  const lab = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => lab.once('exit', resolve));
  try {
    for await (const line of createInterface({ input: lab.stdout })) if (line.includes('"ready"')) break;
    await run();
  } finally {
    lab.kill('SIGTERM');
    await ended;
    rmSync(directory, { recursive: true, force: true });
  }
}

const podOf = (node: string) =>
  exec(node, 'ip', 'route', 'show', 'proto', String(DEFAULT_PROTOCOLS.local), 'scope', 'link').split(' ')[0]!;

function endOf(node: string): End {
  const block = /blackhole (\S+)/.exec(exec(node, 'ip', 'route', 'show', 'type', 'blackhole'))![1]!;
  const address = /inet (\S+)\//.exec(exec(node, 'ip', '-4', '-o', 'addr', 'show', 'eth0'))![1]!;
  const last = node.at(-1)!;
  return { node: address, block, vtep: block.split('/')[0]!, mac: `02:00:00:00:be:0${last}` };
}

/** Returns the received bits per second of one stream. */
function measure(to: string): number {
  const args = ['iperf3', '-c', to, '-t', seconds, '-J'];
  const { end } = JSON.parse(exec('node1-a', ...args)) as {
    end: { sum_received: { bits_per_second: number } };
  };
  return end.sum_received.bits_per_second;
}

async function serve(): Promise<ChildProcess> {
  const [file, ...args] = execCommand('node2-a', ['iperf3', '-s']);
  const server = spawn(file!, args, { stdio: 'ignore' });
  await new Promise((resolve) => setTimeout(resolve, 1000));
  return server;
}

const results = new Map<string, number[]>();
const note = (name: string, bits: number) => results.set(name, [...(results.get(name) ?? []), bits]);
const median = (list: readonly number[]) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)]!;

if (spawnSync('sh', ['-c', 'command -v iperf3']).status !== 0)
  throw new Error('bench:tunnels needs iperf3: apt-get install iperf3');
const chosen = ways[values.encap];
if (!chosen) throw new Error(`--encap ${values.encap}: must be vxlan or ipip`);
await withLab(['--subnets', '2', '--encap', values.encap, '--mode', 'always'], async () => {
  const [one, two] = [endOf('node1'), endOf('node2')];
  const to = podOf('node2');
  const ours = ['node1', 'node2'].map((node) =>
    exec(node, 'ip', 'route', 'show', 'proto', String(DEFAULT_PROTOCOLS.bgp)).trim(),
  );
  // The agents would restore their own routes.
  for (const name of ['node1', 'node2']) await askLab({ do: 'node kill', name });
  const server = await serve();
  for (let run = 0; run < runs; run++) {
    for (const { name, setUp } of chosen) {
      exec('node1', 'sh', '-c', setUp ? setUp(one, two) : `ip route replace ${ours[0]}`);
      exec('node2', 'sh', '-c', setUp ? setUp(two, one) : `ip route replace ${ours[1]}`);
      note(name, measure(to));
    }
  }
  server.kill('SIGKILL');
});
const withoutTunnel = async () => {
  const server = await serve();
  const to = podOf('node2');
  for (let run = 0; run < runs; run++) note('no tunnel', measure(to));
  server.kill('SIGKILL');
};
if (!values.small) await withLab(['--subnets', '1', '--encap', 'none'], withoutTunnel);
const first = median(results.get(chosen[0]!.name)!);
const rows = [...results].map(([name, list]) => [
  name,
  `${(median(list) / 1e9).toFixed(2)} Gbit/s`,
  `${(Math.min(...list) / 1e9).toFixed(2)} to ${(Math.max(...list) / 1e9).toFixed(2)}`,
  (median(list) / first).toFixed(2),
]);
process.stdout.write(
  `${machine()}; one TCP stream, medians of ${runs} runs of ${seconds} s\n\n` +
    `${plainTable(['', 'median', 'range', `: ${chosen[0]!.name}`], rows)}\n`,
);
