// Sets up what a bundled program needs, and runs it: node scripts/run.mjs PROGRAM ARGUMENTS…
import { spawn } from 'node:child_process';
import path from 'node:path';
import { prepare, setUp } from './setup.mjs';

const [program, ...args] = process.argv.slice(2);
// Commands to a running lab or to the API need no programs of the host.
const isLab = program === 'cali-lab' && (args[0] ?? '-').match(/^-|^start$/);
await (isLab || program.startsWith('bench-') ? setUp() : prepare());
const child = spawn(
  process.execPath,
  [path.resolve(import.meta.dirname, '..', 'dist', `${program}.js`), ...args],
  { stdio: 'inherit' },
);
// The terminal sends Ctrl-C to the program too; this process waits for its exit.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => signal !== 'SIGINT' && child.kill(signal));
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
