/** The facts that a bench's figures depend on. */
import { spawnSync } from 'node:child_process';
import os from 'node:os';

/** Returns the CPU, cores, version of Node and commit, for the header of each bench's output. */
export function machine(): string {
  const { model = 'CPU' } = os.cpus()[0] ?? {};
  return `${model}, ${os.cpus().length} cores, Node ${process.version}, ${commit()}`;
}

function commit(): string {
  const git = (...args: string[]) => spawnSync('git', args, { encoding: 'utf8' });
  const head = git('rev-parse', '--short', 'HEAD');
  if (head.status !== 0) return 'no commit';
  const isChanged = git('status', '--porcelain', '--untracked-files=no').stdout !== '';
  return `commit ${head.stdout.trim()}${isChanged ? ' with changes' : ''}`;
}
