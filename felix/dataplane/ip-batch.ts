/** `ip -batch`: many changes in one short-lived process (platform measurements: 10,000 routes in 95 ms). */
import { feed } from '../../lib/exec.ts';

export interface BatchError {
  readonly command: string;
  readonly message: string;
}

/**
 * Runs commands (`route add …`, without the leading `ip`); returns those that failed. One failure does not
 * stop the others, except a command that `ip` cannot parse, which is why prefixes and names are validated
 * before they get here.
 */
export async function runBatch(commands: readonly string[]): Promise<BatchError[]> {
  if (commands.length === 0) return [];
  const result = await feed('ip', ['-force', '-batch', '-'], `${commands.join('\n')}\n`, 60_000);
  if (result.ok) return [];
  return parseErrors(result.stderr, commands);
}

/** Runs `ip -j` queries of one family in one process; one parsed answer per query. Throws when ip fails. */
export async function runQueries(family: 4 | 6, queries: readonly string[]): Promise<unknown[][]> {
  const result = await feed('ip', ['-j', `-${family}`, '-batch', '-'], `${queries.join('\n')}\n`, 30_000);
  if (!result.ok) throw new Error(`ip ${queries.join('; ')}: ${result.stderr || `exit ${result.code}`}`);
  const lines = result.stdout.split('\n').filter((line) => line !== '');
  return queries.map((_, i) => JSON.parse(lines[i] ?? '[]') as unknown[]);
}

/** stderr interleaves messages and `Command failed -:LINE`, each line closing the messages before it. */
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
  if (messages.length > 0) errors.push({ command: '(batch)', message: messages.join('; ') });
  return errors;
}
