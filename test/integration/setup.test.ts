/** What the scripts rely on: the list of sources, the digest of a bundle's inputs, a lock file for every platform. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const root = path.resolve(import.meta.dirname, '..', '..');
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'cali-sources-'));
  for (const [file, text] of Object.entries({
    'package.json': '{}',
    '.gitignore': 'dist/\nnode_modules/\n',
    'test/fuzz.ts': 'export {};',
    'test/fuzz/source.ts': 'export {};',
    'lib/a.ts': 'export {};',
    'dist/lib.ts': 'export {};',
    'node_modules/x/index.ts': 'export {};',
  })) {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    writeFileSync(path.join(folder, file), text);
  }
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Calls a function of scripts/sources.mjs, which TypeScript knows nothing of, on the folder. */
function call(name: string): unknown {
  const script = `import { ${name} } from './scripts/sources.mjs'; console.log(JSON.stringify(${name}(process.argv[1])));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script, folder], {
    cwd: root,
    encoding: 'utf8',
  });
  if (stderr) throw new Error(stderr);
  return JSON.parse(stdout);
}
const git = (...args: string[]) => spawnSync('git', ['-C', folder, ...args]);

test('the list of sources is the same with git before and after the first commit, and without git', () => {
  const sources = ['.gitignore', 'lib/a.ts', 'package.json', 'test/fuzz.ts', 'test/fuzz/source.ts'];
  expect(call('sourceFiles')).toEqual(sources);
  git('init', '--quiet');
  expect(call('sourceFiles')).toEqual(sources);
  git('add', '-A');
  expect(call('sourceFiles')).toEqual(sources);
  rmSync(path.join(folder, 'lib/a.ts'));
  expect(call('sourceFiles')).toEqual(sources.filter((file) => file !== 'lib/a.ts'));
});

test.each([
  ['a test is edited', () => writeFileSync(path.join(folder, 'test/fuzz.ts'), 'export const a = 1;')],
  ['package.json is edited', () => writeFileSync(path.join(folder, 'package.json'), '{"version":"2"}')],
  ['a file is added', () => writeFileSync(path.join(folder, 'lib/b.ts'), '')],
  ['a file is deleted', () => rmSync(path.join(folder, 'test/fuzz/source.ts'))],
  ['a file is replaced by an older one', () => utimesSync(path.join(folder, 'lib/a.ts'), 1, 1)],
])('bundles are stale when %s', (_, change) => {
  const before = call('bundleInputs');
  expect(call('bundleInputs')).toBe(before);
  change();
  expect(call('bundleInputs')).not.toBe(before);
});

test('bundles stay current when a document or an output changes', () => {
  const before = call('bundleInputs');
  writeFileSync(path.join(folder, 'README.md'), 'text');
  writeFileSync(path.join(folder, 'dist/lib.ts'), 'other');
  expect(call('bundleInputs')).toBe(before);
});

interface Locked {
  readonly resolved?: string;
  readonly integrity?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

test('package-lock.json has every package of every platform, with a digest, and names no registry', () => {
  const lock = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, Locked>;
  };
  const isLocked = (from: string, name: string): boolean => {
    if (lock.packages[`${from ? `${from}/` : ''}node_modules/${name}`]) return true;
    return from !== '' && isLocked(from.slice(0, Math.max(0, from.lastIndexOf('node_modules/') - 1)), name);
  };
  const missing = Object.entries(lock.packages).flatMap(([from, locked]) =>
    Object.keys({ ...locked.dependencies, ...locked.optionalDependencies })
      .filter((name) => !isLocked(from, name))
      .map((name) => `${from} needs ${name}`),
  );
  expect(missing).toEqual([]);
  const packages = Object.entries(lock.packages).filter(([name]) => name !== '');
  expect(
    packages.filter(([, { integrity }]) => !integrity?.startsWith('sha512-')).map(([name]) => name),
  ).toEqual([]);
  expect(packages.filter(([, { resolved }]) => resolved).map(([name]) => name)).toEqual([]);
});
