/**
 * The lab's first process, inside fresh user, network, mount and PID namespaces: when it ends, the kernel kills all
 * other processes of the lab. It ends when its standard input, held open by the process outside, is closed.
 */
import path from 'node:path';
import { messageOf } from '../lib/errors.ts';
import { run } from '../lib/exec.ts';
import { serveControl } from './control.ts';
import { LAB_DIRECTORY } from './control-plane.ts';
import { Lab, type LabNode } from './lab.ts';
import { netnsPath } from './namespaces.ts';
import { reapOrphans } from './orphans.ts';
import { connectivityMatrix, countPairs, describePairs, failures, nodeTable, suggestions } from './report.ts';
import { Screen, terminalOf } from './screen.ts';
import type { Topology } from './topology.ts';

/** Options that the process outside passes as JSON. */
export interface InsideOptions {
  readonly topology: Topology;
  readonly programs: string;
  readonly controlSocket: string;
  readonly isOnce: boolean;
  readonly isJson: boolean;
  readonly logSeverity: string;
}

// Generous: inside user-mode Linux or on a busy machine, each agent needs seconds.
const MATRIX_TIMEOUT_MS = 120_000;
const STATUS_TIMEOUT_MS = 60_000;
/** Exit status of a command that Ctrl-C ended. */
const INTERRUPTED = 130;

const options = JSON.parse(process.argv[2] ?? '{}') as InsideOptions;
const terminal = terminalOf(process.stdout, process.env);
const screen = new Screen(terminal, (text) => {
  if (!options.isJson) process.stdout.write(text);
});
let isEnding = false;
let isUp = false;

const lab = new Lab({
  topology: options.topology,
  programs: options.programs,
  logSeverity: options.logSeverity,
  progress: (text) => isEnding || screen.step(text),
  wait: (waiting) => isEnding || screen.wait(waiting),
});

// Ends on Ctrl-C, on SIGTERM or SIGHUP, and when the process outside ends.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => void end(isUp ? 0 : INTERRUPTED));
process.stdin.on('end', () => void end(isUp ? 0 : INTERRUPTED));
process.stdin.resume();
// The terminal is gone, or the pipe's reader has ended.
process.stdout.on('error', () => void end(1));
reapOrphans();

try {
  await main();
} catch (error) {
  // Errors during shutdown are expected.
  if (!isEnding) {
    screen.wait(undefined);
    process.stderr.write(`lab: ${messageOf(error)}\n`);
    await printLogs();
    await end(1);
  }
}

async function main(): Promise<void> {
  await lab.up();
  const all = lab.allProbes();
  const unreachable = await lab.probe(all, MATRIX_TIMEOUT_MS, (unanswered) =>
    screen.wait({
      what: 'pairs',
      missing: () => [...new Set(unanswered().map(({ from, to }) => `${from} to ${to}`))],
    }),
  );
  if (isEnding) return;
  const readySeconds = screen.seconds;
  screen.step(
    unreachable.length === 0
      ? `all pods reach all pods and nodes: ${describePairs(all, unreachable)}`
      : `${describePairs(all, unreachable)} reach each other`,
    unreachable.length === 0,
  );
  if (options.isJson) {
    const report = {
      nodes: lab.nodes.map(({ name, addresses }) => ({ name, ...addresses })),
      pods: lab.pods.map(({ name, node, addresses }) => ({ name, node, addresses })),
      pairs: countPairs(all),
      probes: all.length,
      unreachable,
      seconds: Number(readySeconds),
    };
    process.stdout.write(`${JSON.stringify(report)}\n`);
  }
  const { columns, style } = terminal;
  screen.say(`\n${nodeTable(lab.nodes, lab.pods, columns)}\n`);
  const matrix = connectivityMatrix(lab.nodes, lab.pods, { all, unreachable }, columns, style);
  if (matrix !== '') screen.say(`${style.bold('Pairs that reach each other')}\n${matrix}\n`);
  if (unreachable.length > 0) screen.say(`${failures(unreachable)}\n`);
  const [first] = lab.nodes;
  if (first && !options.isJson) await printStatus(first);
  if (isEnding) return;
  if (options.isOnce) return end(unreachable.length === 0 ? 0 : 1);
  await serveControl(options.controlSocket, lab);
  isUp = true;
  screen.say(suggestions(lab.nodes, style));
  if (options.isJson) process.stdout.write('{"ready":true}\n');
}

async function printStatus({ name, runDirectory }: LabNode): Promise<void> {
  const { outcome, stdout, stderr } = await run(
    'nsenter',
    [`--net=${netnsPath(name)}`, path.join(LAB_DIRECTORY, 'bin', 'calictl'), 'node', 'status'],
    {
      env: { CALI_RUN_DIR: runDirectory, COLUMNS: terminal.isTerminal ? String(terminal.columns) : '' },
      timeoutMs: STATUS_TIMEOUT_MS,
    },
  );
  if (isEnding) return;
  const report = stdout.trimEnd() || `calictl printed nothing: ${stderr || outcome}`;
  screen.say(`${terminal.style.bold(`${name}$ calictl node status`)}\n${report}\n`);
}

async function printLogs(): Promise<void> {
  const logs = await run('sh', ['-c', `tail -n 5 ${LAB_DIRECTORY}/log/*.log`]);
  process.stderr.write(`${logs.stdout}\n`);
}

async function end(code: number): Promise<void> {
  if (isEnding) return;
  isEnding = true;
  screen.wait(undefined);
  await lab.down();
  process.exit(code);
}
