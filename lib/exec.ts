/** The only file that imports execa: child processes for one command, without a shell. */
import type { Readable, Writable } from 'node:stream';
import { execa } from 'execa';

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
    stderr: result.stderr || (result.failed && result.exitCode === undefined ? (result.shortMessage ?? '') : ''),
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

/** Starts a command that outlives this call; its lifetime is the caller's. */
export function start(
  command: string,
  args: readonly string[],
  options: { stdin?: 'pipe' | 'ignore'; env?: Readonly<Record<string, string>>; stdout?: 'pipe' | 'ignore' } = {},
): Child {
  const child = execa(command, args, {
    buffer: false,
    reject: false,
    stdin: options.stdin ?? 'ignore',
    stdout: options.stdout ?? 'pipe',
    ...(options.env ? { env: options.env } : {}),
  });
  return {
    pid: child.pid,
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    kill: (signal = 'SIGTERM') => child.kill(signal),
    exited: child.then((result) => ({ code: result.exitCode, reason: result.shortMessage ?? '' })),
  };
}
