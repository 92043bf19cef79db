/**
 * Reaps processes whose parents have ended. The lab's first process is process 1 of its namespace, so it adopts
 * orphans; Node reaps only the children that it started itself.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { libc } from '../lib/libc.ts';

const WNOHANG = 1;
const LOOK_MS = 1000;

/**
 * Reaps orphans from now on: zombies that two consecutive checks find. Node reaps its own children before the second.
 */
export function reapOrphans(): void {
  const waitpid = libc()?.func('int waitpid(int, void *, int)');
  if (!waitpid) return;
  let before = new Set<number>();
  setInterval(() => {
    const zombies = children().filter(isZombie);
    for (const pid of zombies) if (before.has(pid)) waitpid(pid, null, WNOHANG);
    before = new Set(zombies);
  }, LOOK_MS).unref();
}

function children(): number[] {
  return readdirSync('/proc/self/task').flatMap((thread) =>
    (read(`/proc/self/task/${thread}/children`) ?? '').split(' ').filter(Boolean).map(Number),
  );
}

function isZombie(pid: number): boolean {
  // The process name, in parentheses, may contain any text.
  return /\) Z /.test(read(`/proc/${pid}/stat`) ?? '');
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
