/**
 * The lab inside user-mode Linux (Debian's package user-mode-linux): the same programs on a kernel of their own, which
 * has ipip. It needs no root; its files are those of this machine, and this user's rights are its rights.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { CodedError } from '../lib/errors.ts';

const MEMORY = '2G';

/** Runs cali-lab there with these arguments; its exit status. */
export async function runInUml(args: readonly string[]): Promise<number> {
  const program = path.join(import.meta.dirname, 'cali-lab.js');
  return runCommandInUml([
    process.execPath,
    program,
    ...args.filter((_, index) => !isKernelFlag(args, index)),
  ]);
}

/**
 * Whether that kernel starts programs on this machine. Debian's 6.1 panics on processors whose register state is larger
 * than it expects, such as those with AMX.
 */
export async function canBootUml(): Promise<boolean> {
  return (await runCommandInUml(['true'], 'ignore')) === 0;
}

/** Boots the kernel, runs a command as its only program, with this terminal; the command's exit status. */
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
    // The terminal's Ctrl-C reaches the kernel as well, which passes it on to its console.
    process.on('SIGINT', () => undefined);
    await new Promise((resolve) => child.once('exit', resolve));
    const status = path.join(directory, 'status');
    return existsSync(status) ? Number(readFileSync(status, 'utf8')) : 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What process 1 does: the file systems that programs expect, the command, and the end of the kernel. */
function initScript(directory: string, command: readonly string[]): string {
  const quoted = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
  return `#!/bin/sh
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

/** `--kernel uml`, in either spelling. */
function isKernelFlag(args: readonly string[], index: number): boolean {
  return /^--kernel(=|$)/.test(args[index]!) || args[index - 1] === '--kernel';
}
