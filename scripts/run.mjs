// Runs a bundled program after all set-up that it needs: node scripts/run.mjs PROGRAM ARGUMENTS…
import { spawn } from 'node:child_process';
import path from 'node:path';
import { prepare, setUp } from './setup.mjs';

const [program, ...args] = process.argv.slice(2);
// What asks a running lab, or the API, needs no programs of the host.
const isLab = program === 'cali-lab' && (args[0] ?? '-').match(/^-|^start$/);
await (isLab || program.startsWith('bench-') ? setUp() : prepare());
const child = spawn(
  process.execPath,
  [path.resolve(import.meta.dirname, '..', 'dist', `${program}.js`), ...args],
  { stdio: 'inherit' },
);
// Ctrl-C reaches the program by itself; this process waits for its end.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => signal !== 'SIGINT' && child.kill(signal));
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
