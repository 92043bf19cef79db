// The repository's files: as git knows them, or by a walk where there is no git (an image build, a tarball).
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const ignored = new Set(['.git', 'node_modules', 'dist', 'coverage']);

/** Paths of all files that are tracked, or new and not ignored; relative to the root, sorted. */
export function sourceFiles(at = root) {
  const { status, stdout } = spawnSync(
    'git',
    ['ls-files', '-z', '-co', '--exclude-standard', '--deduplicate'],
    {
      cwd: at,
      encoding: 'utf8',
      maxBuffer: 64 << 20,
    },
  );
  // An empty list: a copy inside of somebody else's repository that ignores it.
  const listed = status === 0 ? stdout.split('\0').filter(Boolean) : [];
  const files = listed.length > 0 ? listed.filter((file) => existsSync(path.join(at, file))) : walk(at, '');
  return files.sort();
}

/** A digest that changes with every change of what a bundle is made from: also when a file goes, or gets older. */
export function bundleInputs(at = root) {
  const hash = createHash('sha256');
  const decisive = /\.ts$|^package(-lock)?\.json$|^tsconfig\.json$|^scripts\/build\.mjs$/;
  for (const file of sourceFiles(at).filter((name) => decisive.test(name))) {
    const { size, mtimeMs } = statSync(path.join(at, file));
    hash.update(`${file}\0${size} ${mtimeMs}\0`);
  }
  return hash.digest('hex');
}

function walk(at, folder) {
  return readdirSync(path.join(at, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = path.posix.join(folder, entry.name);
    if (entry.isDirectory()) return ignored.has(entry.name) ? [] : walk(at, name);
    return entry.isFile() ? [name] : [];
  });
}
