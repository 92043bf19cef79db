/** Child processes, without a shell. The only file that imports execa. */
import { spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { execa } from 'execa';
import { messageOf } from './errors.ts';

export interface CommandResult {
  readonly ok: boolean;
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  /** Written to the command's standard input, which is then closed. */
  readonly input?: string;
  /** Milliseconds until the command is killed; default 10,000. */
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a command to its end. A non-zero exit is a value; so is a command that does not exist (code undefined). */
export async function run(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const result = await execa(command, args, {
    reject: false,
    timeout: options.timeoutMs ?? 10_000,
    ...(options.input === undefined ? { stdin: 'ignore' as const } : { input: options.input }),
    ...(options.env ? { env: options.env } : {}),
  });
  return {
    ok: !result.failed,
    code: result.exitCode,
    stdout: result.stdout,
    stderr:
      result.stderr || (result.failed && result.exitCode === undefined ? (result.shortMessage ?? '') : ''),
  };
}

/** A running child process. */
export interface Child {
  readonly pid: number | undefined;
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  kill(signal?: NodeJS.Signals): boolean;
  /** Resolves when the process is gone; never rejects. */
  readonly exited: Promise<{ readonly code: number | undefined; readonly reason: string }>;
}

/**
 * Starts a command that outlives this call; its lifetime is the caller's. Not by execa: its start blocks the
 * event loop for some milliseconds, a third of what a CNI ADD may take.
 */
export function start(
  command: string,
  args: readonly string[],
  options: { stdin?: 'pipe' | 'ignore'; stdout?: 'pipe' | 'ignore' } = {},
): Child {
  const child = spawn(command, args, {
    stdio: [options.stdin ?? 'ignore', options.stdout ?? 'pipe', 'pipe'],
  });
  const exited = new Promise<{ code: number | undefined; reason: string }>((resolve) => {
    child.once('error', (error) => resolve({ code: undefined, reason: messageOf(error) }));
    child.once('close', (code, signal) => resolve({ code: code ?? undefined, reason: signal ?? '' }));
  });
  const { pid, stdin, stdout, stderr } = child;
  return { pid, stdin, stdout, stderr, kill: (signal = 'SIGTERM') => child.kill(signal), exited };
}

/** Runs a command to its end with text on its standard input, by `start`: for what runs often. */
export async function feed(
  command: string,
  args: readonly string[],
  input: string,
  timeoutMs: number,
): Promise<CommandResult> {
  const child = start(command, args, { stdin: 'pipe' });
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  const read = async (stream: Readable | null) => {
    let text = '';
    for await (const chunk of stream!.setEncoding('utf8') as AsyncIterable<string>) text += chunk;
    return text;
  };
  child.stdin!.on('error', () => undefined);
  child.stdin!.end(input);
  const [stdout, stderr, { code, reason }] = await Promise.all([
    read(child.stdout),
    read(child.stderr),
    child.exited,
  ]);
  clearTimeout(timer);
  return {
    ok: code === 0,
    code,
    stdout,
    stderr: stderr.trimEnd() || (code === undefined ? `${command}: ${reason}` : ''),
  };
}
