// Refuses source files of more than 400 lines: a file holds one idea, and a reader sees all of it.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { sourceFiles } from './sources.mjs';

const root = path.resolve(import.meta.dirname, '..');
const LIMIT = 400;
/** Longer files, with the reason. */
const exceptions = new Map([
  ['test/unit/bgp/update-errors.cases.ts', 'one table, a case per row'],
  ['test/bench/bgp/load.c', 'one program, compiled from one file'],
]);

for (const file of sourceFiles().filter((name) => /\.(ts|mts|mjs|cjs|c|go)$/.test(name))) {
  const lines = readFileSync(path.join(root, file), 'utf8').split('\n').length - 1;
  if (lines <= LIMIT || exceptions.has(file)) continue;
  process.stdout.write(`${file}: ${lines} lines, at most ${LIMIT}: split it into files with one idea each\n`);
  process.exitCode = 1;
}
