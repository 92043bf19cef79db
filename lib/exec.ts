/**
 * Child processes, without a shell. Only this file imports execa, and all text for other programs passes through it:
 * every argument and every line of input must be plain (lib/plain-text.ts).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { Readable } from 'node:stream';
import { execa } from 'execa';
import { messageOf } from './errors.ts';
import { assertPlain, whyNotPlain } from './plain-text.ts';

/**
 * How a command ended: it `exited`, its time limit ended it (`timeout`, whatever its exit status), it is not installed
 * (`missing`), it was not started because its text is not plain (`refused`), or a signal ended it (`killed`).
 */
export type CommandOutcome = 'exited' | 'timeout' | 'missing' | 'refused' | 'killed';

export interface CommandResult {
  readonly outcome: CommandOutcome;
  /** The command exited with 0. */
  readonly ok: boolean;
  /** Exit status; undefined unless it exited. */
  readonly code: number | undefined;
  readonly stdout: string;
  /** Standard error; a sentence with the reason when the command did not exit. */
  readonly stderr: string;
}

export interface CommandOptions {
  /** Lines for the command's standard input, which is then closed. */
  readonly lines?: readonly string[];
  /** Milliseconds until the command is killed; default 10,000. */
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a command to its end. Never throws: every outcome is a value. */
export async function run(
  command: string,
  args: readonly string[],
  { lines, timeoutMs = 10_000, env }: CommandOptions = {},
): Promise<CommandResult> {
  const refused = refusalOf(command, args, lines ?? []);
  if (refused) return refused;
  const result = await execa(command, args, {
    reject: false,
    timeout: timeoutMs,
    ...(lines === undefined ? { stdin: 'ignore' as const } : { input: joinLines(lines) }),
    ...(env ? { env } : {}),
  });
  const outcome = outcomeOf(result.exitCode, result.timedOut, result.code === 'ENOENT');
  return resultOf(command, timeoutMs, {
    outcome,
    code: result.exitCode,
    stdout: result.stdout,
    stderr: result.stderr,
    // execa's own message repeats the whole command line.
    reason: result.signal ?? result.originalMessage ?? '',
  });
}

/** A running child process. */
export interface Child {
  readonly pid: number | undefined;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  /** Writes lines to its standard input. Throws CodedError CONTROL_CHARACTER, and writes no line in that case. */
  write(lines: readonly string[]): void;
  /** As `write`, and closes the input. */
  end(lines: readonly string[]): void;
  kill(signal?: NodeJS.Signals): boolean;
  /** Resolves when the process is gone; never rejects. */
  readonly exited: Promise<Exit>;
}

export interface Exit {
  readonly code: number | undefined;
  readonly reason: string;
  readonly isMissing: boolean;
}

/**
 * Starts a command that outlives this call; the caller ends it. It does not use execa, which blocks the event loop for
 * some milliseconds at each start, a third of a CNI ADD. A command that cannot start, for lack of memory or files, has
 * empty output and has exited with the reason. Throws only CodedError CONTROL_CHARACTER.
 */
export function start(
  command: string,
  args: readonly string[],
  options: { stdin?: 'pipe' | 'ignore'; stdout?: 'pipe' | 'ignore' } = {},
): Child {
  for (const text of [command, ...args]) assertPlain(text, `argument of ${command}`);
  let child: ChildProcess;
  try {
    child = spawn(command, args, { stdio: [options.stdin ?? 'ignore', options.stdout ?? 'pipe', 'pipe'] });
  } catch (error) {
    return unstarted(error, options.stdout !== 'ignore');
  }
  const exited = new Promise<Exit>((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) =>
      resolve({ code: undefined, reason: messageOf(error), isMissing: error.code === 'ENOENT' }),
    );
    child.once('close', (code, signal) =>
      resolve({ code: code ?? undefined, reason: signal ?? '', isMissing: false }),
    );
  });
  const { pid, stdin } = child;
  // When no file descriptors are left, spawn returns no streams, contrary to its types.
  const stdout = child.stdout ?? (options.stdout === 'ignore' ? null : ended());
  const stderr = child.stderr ?? ended();
  // The child can end during a write. `exited` reports that.
  stdin?.on('error', () => undefined);
  const checked = (lines: readonly string[]) => {
    for (const line of lines) assertPlain(line, `line for ${command}`);
    return joinLines(lines);
  };
  return {
    pid,
    stdout,
    stderr,
    write: (lines) => void stdin?.write(checked(lines)),
    end: (lines) => void stdin?.end(checked(lines)),
    kill: (signal = 'SIGTERM') => child.kill(signal),
    exited,
  };
}

/** A child that spawn could not start. */
function unstarted(error: unknown, hasOutput: boolean): Child {
  return {
    pid: undefined,
    stdout: hasOutput ? ended() : null,
    stderr: ended(),
    write: () => {},
    end: () => {},
    kill: () => false,
    exited: Promise.resolve({ code: undefined, reason: messageOf(error), isMissing: false }),
  };
}

function ended(): Readable {
  return new Readable({
    read() {
      this.push(null);
    },
  });
}

/** Runs a command to its end with lines on its standard input. It uses `start`, so it suits frequent commands. */
export async function feed(
  command: string,
  args: readonly string[],
  lines: readonly string[],
  timeoutMs: number,
): Promise<CommandResult> {
  const refused = refusalOf(command, args, lines);
  if (refused) return refused;
  const child = start(command, args, { stdin: 'pipe' });
  let isTimedOut = false;
  const timer = setTimeout(() => {
    isTimedOut = true;
    child.kill('SIGKILL');
  }, timeoutMs);
  const read = async (stream: Readable | null) => {
    let text = '';
    for await (const chunk of stream!.setEncoding('utf8') as AsyncIterable<string>) text += chunk;
    return text;
  };
  child.end(lines);
  const [stdout, stderr, { code, reason, isMissing }] = await Promise.all([
    read(child.stdout),
    read(child.stderr),
    child.exited,
  ]);
  clearTimeout(timer);
  const outcome = outcomeOf(code, isTimedOut, isMissing);
  return resultOf(command, timeoutMs, { outcome, code, stdout, stderr: stderr.trimEnd(), reason });
}

function joinLines(lines: readonly string[]): string {
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

/** Returns the result for text that is not plain; undefined if all of it is. */
export function refusalOf(
  command: string,
  args: readonly string[],
  lines: readonly string[],
): CommandResult | undefined {
  for (const text of [command, ...args, ...lines]) {
    const reason = whyNotPlain(text);
    if (reason !== undefined)
      return {
        outcome: 'refused',
        ok: false,
        code: undefined,
        stdout: '',
        stderr: `${command} is not started: its input ${reason}`,
      };
  }
  return undefined;
}

function outcomeOf(code: number | undefined, isTimedOut: boolean, isMissing: boolean): CommandOutcome {
  if (isTimedOut) return 'timeout';
  if (isMissing) return 'missing';
  return code === undefined ? 'killed' : 'exited';
}

function resultOf(
  command: string,
  timeoutMs: number,
  ended: {
    outcome: CommandOutcome;
    code: number | undefined;
    stdout: string;
    stderr: string;
    reason: string;
  },
): CommandResult {
  const { outcome, stdout, reason } = ended;
  const sentence: Partial<Record<CommandOutcome, string>> = {
    timeout: `${command} did not finish within ${timeoutMs / 1000} s`,
    missing: `${command} is not installed: ${reason}`,
    killed: /^SIG[A-Z0-9]+$/.test(reason)
      ? `${command} was killed by a signal: ${reason}`
      : `${command} did not run to completion: ${reason}`,
  };
  return {
    outcome,
    ok: outcome === 'exited' && ended.code === 0,
    code: outcome === 'exited' ? ended.code : undefined,
    stdout,
    stderr: [sentence[outcome], ended.stderr].filter(Boolean).join(': '),
  };
}
