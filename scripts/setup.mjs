// Makes a fresh clone able to run: packages, bundles, Debian packages. Uses nothing but Node itself.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const stampFile = path.join(root, 'node_modules', '.cali-lock');

/** Installs npm packages when node_modules is not that of package-lock.json. */
export function installPackages() {
  const lock = createHash('sha256')
    .update(readFileSync(path.join(root, 'package-lock.json')))
    .digest('hex');
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === lock) return;
  say('installing npm packages …');
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) fail('npm ci failed: see above');
  writeFileSync(stampFile, lock);
}

/** Bundles the programs when a source is not what the bundles were made from. */
export async function buildIfStale() {
  const { buildIfStale: build } = await import('./build.mjs');
  await build();
}

/** Sees to it that commands exist: as root by apt-get, otherwise by naming the packages. False when one is missing. */
export function ensureCommands(wanted) {
  const missing = Object.entries(wanted).filter(([command]) => !hasCommand(command));
  if (missing.length === 0) return true;
  const packages = [...new Set(missing.map(([, name]) => name))];
  if (process.getuid?.() === 0 && hasCommand('apt-get')) {
    say(`installing Debian packages: ${packages.join(' ')} …`);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    spawnSync('apt-get', ['update', '-qq'], { stdio: ['ignore', 'ignore', 2], env });
    spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], {
      stdio: ['ignore', 'ignore', 2],
      env,
    });
  }
  const still = missing.filter(([command]) => !hasCommand(command));
  if (still.length === 0) return true;
  say(
    `missing: ${still.map(([command, name]) => `${command} (Debian package ${name})`).join(', ')}. Install with: apt-get install ${packages.join(' ')}`,
  );
  return false;
}

export function hasCommand(command) {
  if (command.startsWith('/')) return existsSync(command);
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin'];
  return folders.some((folder) => existsSync(path.join(folder, command)));
}

/** What the lab and the agent need, and what they do without and say so. */
const runtimeCommands = { ip: 'iproute2', unshare: 'util-linux', nsenter: 'util-linux' };
const optionalCommands = { nft: 'nftables' };

/** Everything that the bundled programs need; ends this process where something is missing. */
export async function setUp() {
  process.env.PATH = `${process.env.PATH}:/usr/sbin:/sbin`;
  installPackages();
  await buildIfStale();
  if (!ensureCommands(runtimeCommands)) process.exit(1);
  ensureCommands(optionalCommands);
}

export function fail(text) {
  say(text);
  process.exit(1);
}

function say(text) {
  process.stderr.write(`${text}\n`);
}
