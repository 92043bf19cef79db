// npm run check: types, lint, format, import and time rules, file sizes, unused code, generated files. A failure does not
// skip the rest.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { prepare } from './setup.mjs';

const root = path.resolve(import.meta.dirname, '..');
await prepare();
const bin = (name) => path.join(root, 'node_modules', '.bin', name);
const checks = [
  ['types', bin('tsc'), ['--noEmit']],
  ['lint and format', bin('biome'), ['check', '--max-diagnostics=none', '.']],
  ['type-aware lint', bin('oxlint'), ['--type-aware', '--deny-warnings', '.']],
  ['import rules', process.execPath, [path.join(root, 'scripts', 'import-rules.mjs')]],
  ['time rules', process.execPath, [path.join(root, 'scripts', 'time-rules.mjs')]],
  ['file sizes', process.execPath, [path.join(root, 'scripts', 'file-sizes.mjs')]],
  ['unused code', bin('knip'), []],
  ['generated CRDs', process.execPath, [path.join(root, 'dist', 'cali-crds.js'), '--check']],
  ['generated manifest', process.execPath, [path.join(root, 'scripts', 'manifests.mjs'), '--check']],
];
let isGood = true;
for (const [name, command, args] of checks) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: root, encoding: 'utf8' });
  const isPassed = status === 0;
  process.stdout.write(`${isPassed ? '✓' : '✗'} ${name}\n`);
  if (isPassed) continue;
  isGood = false;
  process.stdout.write(`${stdout}${stderr}\n`);
}
process.exit(isGood ? 0 : 1);
