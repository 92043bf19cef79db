/** A running lab for system tests: the real programs in real namespaces, driven over the control socket. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { AgentStatus } from '../../agent/status.ts';
import type { LabCommand } from '../../lab/control.ts';
import { askLab, execCommand } from '../../lab/outside.ts';
import type { FlowReport, Probe } from '../../lab/prober.ts';

/** The clone: this file is in test/helpers, or in a bundle in dist. */
export const root = path.resolve(import.meta.dirname, import.meta.dirname.endsWith('dist') ? '..' : '../..');
export const labProgram = path.join(root, 'dist', 'cali-lab.js');

/** Limits of `until` are for a quiet machine; one that is busy or slow gets this many times as long. */
const PATIENCE = 5;
const EXEC_MS = 150_000;

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

  /** Starts a lab and waits until it is up: one subnet without tunnels, unless it is told otherwise. */
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

  /** Ends the lab; nothing of it remains, whatever the test did. */
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
    const { status, stdout, stderr } = spawnSync(file!, args, { encoding: 'utf8', timeout: EXEC_MS });
    return { code: status ?? -1, stdout, stderr };
  }

  /** Like exec, with text on standard input. */
  pipe(place: string, input: string, ...command: string[]): Ran {
    const [file, ...args] = execCommand(place, command);
    const { status, stdout, stderr } = spawnSync(file!, args, { encoding: 'utf8', timeout: EXEC_MS, input });
    return { code: status ?? -1, stdout, stderr };
  }

  /** Runs a shell line in a node; its standard output. Throws when it fails. */
  sh(place: string, line: string): string {
    const { code, stdout, stderr } = this.exec(place, 'sh', '-c', line);
    if (code !== 0) throw new Error(`${place}: ${line}: exit ${code}: ${stderr}`);
    return stdout;
  }

  /** Starts a command that runs beside the test; `stop` ends it and returns its lines. */
  follow(place: string, ...command: string[]): Followed {
    // Without a PID namespace to enter, nsenter forks nothing, and the child that is killed is the command.
    return followed(execCommand(place, command).filter((argument) => argument !== '--pid'));
  }

  /** Packets that an interface of the router sees, by tcpdump: a line each. Not as the lab's root, who is none. */
  capture(link: string, filter: string): Followed {
    const pid = execCommand('lab', [])[2]!;
    return followed(['nsenter', '--target', pid, '--net', 'tcpdump', '-Zroot', '-lnni', link, filter]);
  }

  /** Applies an object of projectcalico.org/v3 by calictl. Throws with what calictl says when it is refused. */
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

/** A command that runs beside the test. */
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

/** Waits until the check is true; throws with `what` after PATIENCE times the limit. Returns the milliseconds it took. */
export async function until(
  what: string,
  timeoutMs: number,
  check: () => boolean | Promise<boolean>,
): Promise<number> {
  const startedAt = performance.now();
  for (;;) {
    if (await check()) return performance.now() - startedAt;
    if (performance.now() - startedAt > timeoutMs * PATIENCE)
      throw new Error(`not within ${timeoutMs * PATIENCE} ms: ${what}`);
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
