/**
 * Runs the lab inside user-mode Linux (Debian package user-mode-linux): the same programs on a separate kernel, which
 * supports ipip. It needs no root, and uses this machine's files with this user's rights.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { CodedError } from '../lib/errors.ts';

const MEMORY = '2G';
const NOT_STARTED =
  'user-mode Linux runs no programs on this machine (Debian’s 6.1 cannot on CPUs with AMX): use the kernel of this machine, without --kernel uml, or another machine';

/** Runs cali-lab there with these arguments and returns its exit status. */
export async function runInUml(args: readonly string[]): Promise<number> {
  const program = path.join(import.meta.dirname, 'cali-lab.js');
  return runCommandInUml([
    process.execPath,
    program,
    ...args.filter((_, index) => !isKernelFlag(args, index)),
  ]);
}

/**
 * Whether that kernel can run programs on this machine. Debian's 6.1 panics on CPUs whose register state is larger than
 * it expects, such as those with AMX.
 */
export async function canBootUml(): Promise<boolean> {
  try {
    return (await runCommandInUml(['true'], 'ignore')) === 0;
  } catch {
    return false;
  }
}

/**
 * Boots the kernel with a command as its only program, on this terminal. Returns the command's exit status. Throws
 * CodedError UML when the kernel is not installed, or runs no program on this machine.
 */
export async function runCommandInUml(
  command: readonly string[],
  stdio: 'inherit' | 'ignore' = 'inherit',
): Promise<number> {
  if (spawnSync('sh', ['-c', 'command -v linux.uml']).status !== 0)
    throw new CodedError('UML', 'linux.uml is not installed: install the Debian package user-mode-linux');
  const directory = mkdtempSync(path.join(os.tmpdir(), 'cali-uml-'));
  try {
    writeFileSync(path.join(directory, 'init'), initScript(directory, command), { mode: 0o755 });
    const child = spawn(
      'linux.uml',
      [
        'rootfstype=hostfs',
        'rw',
        `mem=${MEMORY}`,
        'quiet',
        'loglevel=1',
        'con=null',
        'con0=fd:0,fd:1',
        `uml_dir=${directory}/`,
        'umid=lab',
        `init=${directory}/init`,
      ],
      { stdio },
    );
    // Ctrl-C reaches the kernel as well, which passes it on to its console.
    process.on('SIGINT', () => undefined);
    await new Promise((resolve) => child.once('exit', resolve));
    if (!existsSync(path.join(directory, 'started'))) throw new CodedError('UML', NOT_STARTED);
    const status = path.join(directory, 'status');
    return existsSync(status) ? Number(readFileSync(status, 'utf8')) : 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * Returns the script of process 1: mounts the file systems that programs expect, runs the command, halts the kernel.
 */
function initScript(directory: string, command: readonly string[]): string {
  const quoted = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
  return `#!/bin/sh
: > '${directory}/started'
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME='${os.homedir()}' TERM='${process.env['TERM'] ?? 'linux'}'${[
    'NO_COLOR',
    'LANG',
    'LC_ALL',
    'LC_CTYPE',
  ]
    .filter((name) => process.env[name])
    .map((name) => ` ${name}='${process.env[name]!.replaceAll("'", '')}'`)
    .join('')}
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs run /run
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts 2>/dev/null
mount -t tmpfs shm /dev/shm 2>/dev/null
ip link set lo up
# Modules where Debian puts them, for whatever the kernel asks for; /lib/modules may not be writable.
mkdir -p '${directory}/lib/modules'
ln -sf "/usr/lib/uml/modules/$(uname -r)" '${directory}/lib/modules/'
printf '#!/bin/sh\nexec /sbin/modprobe -d %s "$@"\n' '${directory}' > '${directory}/modprobe'
chmod 755 '${directory}/modprobe'
echo '${directory}/modprobe' > /proc/sys/kernel/modprobe
cd '${process.cwd()}'
${quoted}
echo $? > '${directory}/status.new' && mv '${directory}/status.new' '${directory}/status'
sync
echo 0 > /proc/sys/kernel/printk
echo o > /proc/sysrq-trigger
sleep 5
`;
}

/** Whether an argument belongs to `--kernel uml`, in either form. */
function isKernelFlag(args: readonly string[], index: number): boolean {
  return /^--kernel(=|$)/.test(args[index]!) || args[index - 1] === '--kernel';
}
