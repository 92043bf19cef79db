/** Starts the lab's first process in new namespaces, and communicates with a running lab. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { readdir, rm, rmdir, writeFile } from 'node:fs/promises';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { CodedError, messageOf } from '../lib/errors.ts';
import { createFolder } from '../lib/folder.ts';
import { assertPrivateFolder, assertTrustedSocket } from '../lib/unix-socket.ts';
import type { LabCommand } from './control.ts';
import { LAB_DIRECTORY } from './control-plane.ts';
import type { InsideOptions } from './inside.ts';

/** Directory of a lab's control socket and PID file. One per user, unless CALI_LAB_DIR is set. */
export function controlDirectory(): string {
  return process.env['CALI_LAB_DIR'] || path.join(os.tmpdir(), `cali-lab-${process.getuid?.() ?? 0}`);
}

/** Runs a lab to its end and returns the exit status of its first process. */
export async function runLab(options: Omit<InsideOptions, 'controlSocket' | 'programs'>): Promise<number> {
  const directory = controlDirectory();
  if (await isAlive(directory)) {
    throw new CodedError(
      'LAB_RUNNING',
      `a lab is running already (${directory}): stop it with Ctrl-C in its terminal, or set CALI_LAB_DIR to another directory`,
    );
  }
  await prepare(directory);
  try {
    const programs = import.meta.dirname;
    const inside: InsideOptions = { ...options, programs, controlSocket: socketIn(directory) };
    const child = spawn(
      'unshare',
      [
        ...namespaceFlags(),
        ...['--fork', '--kill-child=SIGKILL', '--mount-proc'],
        ...[process.execPath, path.join(programs, 'cali-lab-inside.js'), JSON.stringify(inside)],
      ],
      { stdio: ['pipe', 'inherit', 'inherit'] },
    );
    // The first process inside ends the lab when its input ends, however early that is. This process waits for it.
    child.stdin.on('error', () => undefined);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(signal, () => child.stdin.end());
    await writeFile(path.join(directory, 'pid'), String(child.pid));
    return await new Promise<number>((resolve, reject) => {
      child.once('error', (error) =>
        reject(new CodedError('UNSHARE', `cannot start unshare: ${messageOf(error)}. Install util-linux.`)),
      );
      child.once('exit', (code) => resolve(code ?? 1));
    });
  } finally {
    await removeOwn(directory);
  }
}

/** The lab's files in its directory. A socket has a private name before its place is free (lib/unix-socket.ts). */
const OWN_FILE = /^(pid|lab\.sock(\..*)?)$/;
/** Octets of a unix socket's path (unix(7)), less those of a private name. */
const MAX_SOCKET_PATH = 107 - '.4194304.1.old'.length;

/** Creates the directory, or removes what a killed lab left there. Throws CodedError when the lab cannot use it. */
async function prepare(directory: string): Promise<void> {
  const remedy = 'set CALI_LAB_DIR to another directory';
  if (Buffer.byteLength(socketIn(directory)) > MAX_SOCKET_PATH)
    throw new CodedError('LAB_DIR', `the path ${directory} is too long for a unix socket: ${remedy}`);
  await createFolder(directory, 0o700).catch((error: unknown) => {
    throw new CodedError('LAB_DIR', `${messageOf(error)}: ${remedy}`, { cause: error });
  });
  // In /tmp, another user may have created it first.
  assertPrivateFolder(directory);
  const foreign = (await readdir(directory)).find((file) => !OWN_FILE.test(file));
  if (foreign !== undefined)
    throw new CodedError('LAB_DIR', `${directory} has files of other programs (${foreign}): ${remedy}`);
  await Promise.all(
    (await readdir(directory)).map((file) => rm(path.join(directory, file), { force: true })),
  );
}

/** Removes the lab's files, and the directory when it is empty then. */
async function removeOwn(directory: string): Promise<void> {
  const own = (await readdir(directory)).filter((file) => OWN_FILE.test(file));
  await Promise.all(own.map((file) => rm(path.join(directory, file), { force: true })));
  await rmdir(directory).catch(() => undefined);
}

function socketIn(directory: string): string {
  return path.join(directory, 'lab.sock');
}

/** Returns flags for unshare. Root gets none for a user namespace if the kernel refuses one. */
function namespaceFlags(): string[] {
  const own = ['--net', '--mount', '--pid'];
  const mapped = ['--user', '--map-root-user', ...own];
  const isPossible = (flags: string[]) => spawnSync('unshare', [...flags, '--fork', 'true']).status === 0;
  if (isPossible(mapped)) return mapped;
  if (process.getuid?.() === 0 && isPossible(own)) return own;
  throw new CodedError(
    'UNSHARE',
    'this kernel does not let you create user and network namespaces: run as root, or allow it ' +
      '(sysctl kernel.unprivileged_userns_clone=1, or kernel.apparmor_restrict_unprivileged_userns=0)',
  );
}

/** Sends a command to the running lab. Throws CodedError with the lab's reason if it fails. */
export async function askLab(command: LabCommand): Promise<unknown> {
  const socket = socketIn(controlDirectory());
  const answer = await post(socket, command).catch((error: unknown) => {
    const reason = existsSync(socket) ? ` (${messageOf(error)})` : '';
    throw new CodedError('NO_LAB', `no lab is running${reason}: start one with npm start`);
  });
  if (answer.ok) return answer.result;
  throw new CodedError('LAB', answer.reason ?? 'the lab refused');
}

/** Returns the command line that runs a command in a node or pod of the running lab, or in `lab`, the router. */
export function execCommand(place: string, command: readonly string[]): string[] {
  const directory = controlDirectory();
  if (existsSync(directory)) assertPrivateFolder(directory);
  const file = path.join(directory, 'pid');
  const pid = existsSync(file) ? firstProcess(Number(readFileSync(file, 'utf8'))) : undefined;
  if (!pid) throw new CodedError('NO_LAB', 'no lab is running: start one with npm start');
  // A process cannot enter the user namespace that it is already in, and root's lab may have no separate one.
  const hasOwnUsers = readlinkSync(`/proc/${pid}/ns/user`) !== readlinkSync('/proc/self/ns/user');
  const users = hasOwnUsers ? ['--user', '--preserve-credentials'] : [];
  const enter = ['nsenter', '--target', String(pid), ...users, '--mount', '--pid', '--net'];
  const environment = [
    'env',
    `KUBECONFIG=${LAB_DIRECTORY}/kubeconfig`,
    `CALI_RUN_DIR=${LAB_DIRECTORY}/${place}`,
    `NODENAME=${place}`,
    `PATH=${LAB_DIRECTORY}/bin:${process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin'}`,
  ];
  if (place === 'lab') return [...enter, ...environment, ...command];
  const netns = [
    'sh',
    '-c',
    'n=/run/netns/$0; [ -e "$n" ] || n=/run/netns/pod_$0; [ -e "$n" ] || { echo "no node or pod is named $0" >&2; exit 1; }; exec nsenter --net="$n" "$@"',
    place,
  ];
  return [...enter, ...environment, ...netns, ...command];
}

async function isAlive(directory: string): Promise<boolean> {
  try {
    return (await post(socketIn(directory), { do: 'show' })).ok;
  } catch {
    return false;
  }
}

async function post(
  socketPath: string,
  body: LabCommand,
): Promise<{ ok: boolean; result?: unknown; reason?: string }> {
  assertTrustedSocket(socketPath);
  return new Promise((resolve, reject) => {
    // A new connection each time: the other side might just be closing a kept one.
    const request = http.request({ socketPath, method: 'POST', path: '/', agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve(JSON.parse(text)));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end(JSON.stringify(body));
  });
}

/** Returns the PID, out here, of unshare's child: the lab's first process. */
function firstProcess(unshare: number | undefined): number | undefined {
  if (!unshare || !existsSync(`/proc/${unshare}/task`)) return undefined;
  for (const task of readdirSync(`/proc/${unshare}/task`)) {
    const [child] = readFileSync(`/proc/${unshare}/task/${task}/children`, 'utf8').trim().split(' ');
    if (child) return Number(child);
  }
  return undefined;
}
