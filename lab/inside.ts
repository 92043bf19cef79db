/**
 * The lab's first process, inside fresh user, network, mount and PID namespaces: when it ends, the kernel
 * ends everything else of the lab. Its standard input is the lifeline to the process outside.
 */
import os from 'node:os';
import path from 'node:path';
import { messageOf } from '../lib/errors.ts';
import { run } from '../lib/exec.ts';
import { serveControl } from './control.ts';
import { LAB_DIRECTORY, Lab } from './lab.ts';
import { netnsPath } from './namespaces.ts';
import { connectivityMatrix, failures, nodeTable, suggestions } from './report.ts';
import type { Topology } from './topology.ts';

/** What the process outside passes as JSON. */
export interface InsideOptions {
  readonly topology: Topology;
  readonly programs: string;
  readonly controlSocket: string;
  readonly isOnce: boolean;
  readonly isJson: boolean;
  readonly logSeverity: string;
}

// User-mode Linux is slow: agents come up one after the other, in seconds each.
const isUml = os.cpus()[0]?.model === 'UML';
const MATRIX_TIMEOUT_MS = isUml ? 120_000 : 30_000;

const options = JSON.parse(process.argv[2] ?? '{}') as InsideOptions;
const startedAt = performance.now();
const say = (text: string) => {
  if (!options.isJson) process.stdout.write(`${text}\n`);
};
const seconds = () => ((performance.now() - startedAt) / 1000).toFixed(1);

const lab = new Lab({
  topology: options.topology,
  programs: options.programs,
  logSeverity: options.logSeverity,
  progress: (text) => say(`  ✓ ${text}  (${seconds()} s)`),
});

// The terminal's Ctrl-C, a polite end, and the end of the process outside.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => void end(0));
process.stdin.on('end', () => void end(0));
process.stdin.resume();

try {
  await main();
} catch (error) {
  process.stderr.write(`lab: ${messageOf(error)}\n`);
  await printLogs();
  await end(1);
}

async function main(): Promise<void> {
  await lab.up();
  const probes = lab.allProbes();
  const unreachable = await lab.probe(probes, MATRIX_TIMEOUT_MS);
  const readySeconds = seconds();
  if (unreachable.length === 0)
    say(
      `  ✓ every pod reaches every pod and every node: ${probes.length} of ${probes.length} pairs  (${readySeconds} s)`,
    );
  if (options.isJson) {
    const report = {
      nodes: lab.nodes.map(({ name, addresses }) => ({ name, ...addresses })),
      pods: lab.pods.map(({ name, node, addresses }) => ({ name, node, addresses })),
      pairs: probes.length,
      unreachable,
      seconds: Number(readySeconds),
    };
    process.stdout.write(`${JSON.stringify(report)}\n`);
  }
  say(`\n${nodeTable(lab.nodes, lab.pods)}\n`);
  say(`${connectivityMatrix(lab.nodes, lab.pods, probes, unreachable)}\n`);
  if (unreachable.length > 0) say(`${failures(unreachable)}\n`);
  const [first] = lab.nodes;
  if (first && !options.isJson) {
    const status = await run(
      'nsenter',
      [`--net=${netnsPath(first.name)}`, path.join(LAB_DIRECTORY, 'bin', 'calictl'), 'node', 'status'],
      {
        env: { CALI_RUN_DIR: first.runDirectory },
      },
    );
    say(`${first.name}$ calictl node status\n${status.stdout.trimEnd()}${status.stderr}\n`);
  }
  if (options.isOnce) return end(unreachable.length === 0 ? 0 : 1);
  await serveControl(options.controlSocket, lab);
  say(suggestions(lab.nodes));
  if (options.isJson) process.stdout.write('{"ready":true}\n');
}

async function printLogs(): Promise<void> {
  const logs = await run('sh', ['-c', `tail -n 5 ${LAB_DIRECTORY}/log/*.log`]);
  process.stderr.write(`${logs.stdout}\n`);
}

async function end(code: number): Promise<void> {
  await lab.down();
  process.exit(code);
}
