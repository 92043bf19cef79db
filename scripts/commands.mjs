// Programs of the host that Cali calls: names the missing ones, and installs their Debian packages only on request.
import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import path from 'node:path';
import { say, sayWhile } from './say.mjs';

/** Time for which another apt may hold its locks. */
const LOCK_SECONDS = 600;

/** Whether a program is on PATH, or in /usr/sbin or /sbin. */
export function hasCommand(command) {
  if (command.startsWith('/')) return isProgram(command);
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin'];
  return folders.some((folder) => isProgram(path.join(folder, command)));
}

function isProgram(file) {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/**
 * Names each missing command, with its Debian package and what does not work without it. `wanted` is
 * `{ command: [package, loss] }`. Returns true if no command is missing.
 */
export function nameMissing(wanted, { isRequired }) {
  const missing = missingOf(wanted);
  for (const [command, [name, loss]] of missing)
    say(`${command} is missing (Debian package ${name})${isRequired ? '' : ', which is optional'}: ${loss}.`);
  if (missing.length > 0) say(`Install with: apt-get install ${packagesOf(missing).join(' ')}`);
  return missing.length === 0;
}

/** Installs the packages of missing commands; waits while another apt runs. Does nothing without root or apt. */
export async function installMissing(wanted) {
  const missing = missingOf(wanted);
  if (missing.length === 0 || process.getuid?.() !== 0 || !hasCommand('apt-get')) return;
  const packages = packagesOf(missing);
  say(`installing Debian packages: ${packages.join(' ')} …`);
  await apt('update', '-qq');
  await apt('install', '-y', '-qq', '--no-install-recommends', ...packages);
}

function missingOf(wanted) {
  return Object.entries(wanted).filter(([command]) => !hasCommand(command));
}

function packagesOf(missing) {
  return [...new Set(missing.map(([, [name]]) => name))];
}

/** Runs apt-get, and retries while another one holds a lock, because `update` has no option to wait. */
async function apt(...args) {
  const done = sayWhile(`apt-get ${args[0]}`);
  const deadline = performance.now() + LOCK_SECONDS * 1000;
  const options = ['-o', `DPkg::Lock::Timeout=${LOCK_SECONDS}`];
  let isSaid = false;
  for (;;) {
    const { status, stderr } = await output('apt-get', [...options, ...args]);
    if (status === 0 || !/could not get lock/i.test(stderr) || performance.now() > deadline) {
      if (status !== 0) say(`apt-get ${args.join(' ')} failed:\n${stderr.trim()}`);
      break;
    }
    if (!isSaid) say('another apt is running: waiting for its lock …');
    isSaid = true;
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
  done();
}

function output(command, args) {
  return new Promise((resolve) => {
    const env = { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' };
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], env });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (chunk) => {
      stderr += chunk;
    });
    child.on('error', (error) => resolve({ status: 1, stderr: error.message }));
    child.on('close', (status) => resolve({ status, stderr }));
  });
}
