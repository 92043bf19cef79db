/** A running lab for system tests: the real programs in network namespaces, driven over the control socket. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { AgentStatus } from '../../agent/report/status.ts';
import type { LabCommand } from '../../lab/control.ts';
import { askLab, execCommand } from '../../lab/outside.ts';
import type { FlowReport, Probe } from '../../lab/prober.ts';

/** Root of the repository. This file runs from test/helpers or from a bundle in dist. */
export const root = path.resolve(import.meta.dirname, import.meta.dirname.endsWith('dist') ? '..' : '../..');
export const labProgram = path.join(root, 'dist', 'cali-lab.js');

/** Limits of `until` assume a quiet machine; multiplied by this for busy and slow ones. */
const PATIENCE = 5;
const EXEC_MS = 150_000;
/** Output of a command, octets: all logs of a lab fit. */
const MAX_OUTPUT = 256 << 20;

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class TestLab {
  readonly #child: ChildProcess;
  readonly #directory: string;
  readonly report: { seconds: number; pairs: number; probes: number; unreachable: unknown[] };

  private constructor(child: ChildProcess, directory: string, report: TestLab['report']) {
    this.#child = child;
    this.#directory = directory;
    this.report = report;
  }

  /** Starts a lab and waits until it is up. One subnet and no tunnels, unless the arguments name subnets. */
  static async start(given: readonly string[] = []): Promise<TestLab> {
    const args = given.includes('--subnets') ? given : ['--subnets', '1', '--encap', 'none', ...given];
    const directory = mkdtempSync(path.join(os.tmpdir(), 'cali-test-lab-'));
    process.env['CALI_LAB_DIR'] = path.join(directory, 'lab');
    const child = spawn(process.execPath, [labProgram, 'start', '--json', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stderr = '';
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    let report: TestLab['report'] | undefined;
    for await (const line of createInterface({ input: child.stdout! })) {
      const value = JSON.parse(line) as TestLab['report'] & { ready?: boolean };
      if (value.ready) return new TestLab(child, directory, report!);
      report = value;
    }
    rmSync(directory, { recursive: true, force: true });
    throw new Error(`the lab did not start: ${stderr}`);
  }

  /** Stops the lab. It cleans up after itself, whatever the test did. */
  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    if (this.#child.exitCode === null) {
      this.#child.kill('SIGTERM');
      await ended;
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }

  ask(command: LabCommand): Promise<unknown> {
    return askLab(command);
  }

  /** Runs a command in a node, a pod, or `lab`. */
  exec(place: string, ...command: string[]): Ran {
    const [file, ...args] = execCommand(place, command);
    const { status, stdout, stderr } = spawnSync(file!, args, {
      encoding: 'utf8',
      timeout: EXEC_MS,
      maxBuffer: MAX_OUTPUT,
    });
    return { code: status ?? -1, stdout, stderr };
  }

  /** Like exec, with text on standard input. */
  pipe(place: string, input: string, ...command: string[]): Ran {
    const [file, ...args] = execCommand(place, command);
    const { status, stdout, stderr } = spawnSync(file!, args, {
      encoding: 'utf8',
      timeout: EXEC_MS,
      maxBuffer: MAX_OUTPUT,
      input,
    });
    return { code: status ?? -1, stdout, stderr };
  }

  /** Runs a shell command in a place and returns its standard output. Throws when it fails. */
  sh(place: string, line: string): string {
    const { code, stdout, stderr } = this.exec(place, 'sh', '-c', line);
    if (code !== 0) throw new Error(`${place}: ${line}: exit ${code}: ${stderr}`);
    return stdout;
  }

  /** Starts a command in the background; `stop` ends it and returns its lines. */
  follow(place: string, ...command: string[]): Followed {
    // nsenter forks only to enter a PID namespace. Without one, the child that `stop` kills is the command.
    return followed(execCommand(place, command).filter((argument) => argument !== '--pid'));
  }

  /** Runs tcpdump on a router's interface, one line per packet. Runs as real root, not in the lab's user namespace. */
  capture(link: string, filter: string): Followed {
    const pid = execCommand('lab', [])[2]!;
    return followed(['nsenter', '--target', pid, '--net', 'tcpdump', '-Zroot', '-lnni', link, filter]);
  }

  /** Applies a projectcalico.org/v3 object with calictl. Throws with calictl's error if that fails. */
  apply(kind: string, name: string, spec: object): void {
    const object = { apiVersion: 'projectcalico.org/v3', kind, metadata: { name }, spec };
    const { code, stderr } = this.pipe('node1', JSON.stringify(object), 'calictl', 'apply', '-f', '-');
    if (code !== 0) throw new Error(`${kind} ${name}: ${stderr}`);
  }

  async unreachable(timeoutMs = 30_000): Promise<Probe[]> {
    return ((await askLab({ do: 'matrix', timeoutMs })) as { unreachable: Probe[] }).unreachable;
  }

  async flows(): Promise<FlowReport[]> {
    return (await askLab({ do: 'flows stop' })) as FlowReport[];
  }

  status(node: string): AgentStatus {
    const { stdout, stderr } = this.exec(node, 'calictl', 'node', 'status', '-o', 'json');
    if (stdout === '') throw new Error(`${node}: ${stderr}`);
    return JSON.parse(stdout) as AgentStatus;
  }
}

/** A command that runs in the background. */
export interface Followed {
  readonly lines: string[];
  stop(): Promise<string[]>;
}

function followed([file, ...args]: readonly string[]): Followed {
  const child = spawn(file!, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  return {
    lines,
    async stop() {
      const ended = new Promise((resolve) => child.once('close', resolve));
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL');
        await ended;
      }
      return lines;
    },
  };
}

/** Waits until the check is true; returns the milliseconds it took. Throws with `what` after PATIENCE × the limit. */
export async function until(
  what: string,
  timeoutMs: number,
  check: () => boolean | Promise<boolean>,
): Promise<number> {
  const startedAt = performance.now();
  for (;;) {
    if (await check()) return performance.now() - startedAt;
    if (performance.now() - startedAt > timeoutMs * PATIENCE)
      throw new Error(`timed out after ${timeoutMs * PATIENCE} ms, expected: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export function hasProgram(name: string): boolean {
  return (
    spawnSync('sh', ['-c', `command -v ${name}`], {
      env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` },
    }).status === 0
  );
}
