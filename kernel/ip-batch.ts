/** Runs `ip -batch`: many changes in one short-lived process (platform measurements: 10,000 routes in 95 ms). */
import { type CommandResult, feed } from '../lib/exec.ts';
import { printable } from '../lib/plain-text.ts';

/** A command of a batch that failed; the batch itself is `(batch)`. */
export interface BatchError {
  readonly command: string;
  readonly message: string;
}

/** Stands for the batch where no command is to blame. */
export const BATCH = '(batch)';

/**
 * Runs commands of `ip` (`route add …`) or `bridge`, without the program's name, and returns those that failed. A
 * failure does not stop the others. A command that the program cannot parse does, so callers parse prefixes and names
 * first.
 */
export async function runBatch(program: 'ip' | 'bridge', commands: readonly string[]): Promise<BatchError[]> {
  const result = await feed(program, ['-force', '-batch', '-'], commands, program === 'ip' ? 60_000 : 30_000);
  return batchErrors(result, commands);
}

/** Returns the error of a command that was not run because its text is not plain. */
export function refusedCommand({ line, reason }: { line: string; reason: string }): BatchError {
  return { command: printable(line, 100), message: `refused: ${reason}` };
}

/** Returns the errors of a finished batch: none if it succeeded, at least one if it failed. */
export function batchErrors(result: CommandResult, commands: readonly string[]): BatchError[] {
  if (result.ok) return [];
  if (result.outcome !== 'exited') return [{ command: BATCH, message: result.stderr }];
  const errors = parseErrors(result.stderr, commands);
  return errors.length > 0 ? errors : [{ command: BATCH, message: `exit ${result.code}` }];
}

/**
 * Runs `ip -j` queries of one family in one process and returns a parsed answer per query. Throws when ip fails.
 * Protocols and types are numeric (-N), because the host can change the names in /etc/iproute2.
 */
export async function runQueries(family: 4 | 6, queries: readonly string[]): Promise<unknown[][]> {
  const result = await feed('ip', ['-N', '-j', `-${family}`, '-batch', '-'], queries, 30_000);
  if (!result.ok) throw new Error(`ip ${queries.join('; ')}: ${result.stderr || `exit ${result.code}`}`);
  const lines = result.stdout.split('\n').filter((line) => line !== '');
  return queries.map((_, i) => JSON.parse(lines[i] ?? '[]') as unknown[]);
}

/** Parses stderr, in which each `Command failed -:LINE` ends the messages of one command. */
export function parseErrors(stderr: string, commands: readonly string[]): BatchError[] {
  const errors: BatchError[] = [];
  let messages: string[] = [];
  for (const line of stderr.split('\n')) {
    const failed = /^Command failed -:(\d+)$/.exec(line);
    if (!failed) {
      if (line.trim() !== '') messages.push(line.replace(/^(RTNETLINK answers|Error): /, '').trim());
      continue;
    }
    errors.push({
      command: commands[Number(failed[1]) - 1] ?? '?',
      message: messages.join('; ') || 'failed',
    });
    messages = [];
  }
  if (messages.length > 0) errors.push({ command: BATCH, message: messages.join('; ') });
  return errors;
}
