// The repository's files: from git, or by walking the tree without git (an image build, a tarball).
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const ignored = new Set(['.git', 'node_modules', 'dist', 'coverage']);

/** Returns the paths of all files that are tracked, or new and not ignored; relative to the root, sorted. */
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
  // The list is empty for a copy inside another repository that ignores it.
  const listed = status === 0 ? stdout.split('\0').filter(Boolean) : [];
  const files = listed.length > 0 ? listed.filter((file) => existsSync(path.join(at, file))) : walk(at, '');
  return files.sort();
}

/** Returns a digest of all inputs of the bundles. It also changes if a file is removed or becomes older. */
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
