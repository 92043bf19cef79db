/** The lab as users see it: on a terminal of 80 columns, with wrong commands, suspended for a while, without nft. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askLab, execCommand } from '../../lab/outside.ts';
import type { FlowReport } from '../../lab/prober.ts';
import { labProgram, root, until } from '../helpers/lab.ts';

const TIMEOUT_MS = 300_000;

/** Returns the columns of a line on screen; text that a carriage return overwrites does not add up. */
function widthOf(line: string): number {
  return Math.max(...line.split('\r').map((part) => stripVTControlCharacters(part).length));
}

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'cali-terminal-'));
  process.env['CALI_LAB_DIR'] = path.join(folder, 'lab');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a lab on a terminal of 80 columns', () => {
  let child: ChildProcess;
  let text = '';
  beforeAll(async () => {
    const command = `stty cols 80 rows 50; exec '${process.execPath}' '${labProgram}' start --nodes 3 --pods 2`;
    // script(1) runs it on a new terminal.
    child = spawn('script', ['-qfec', command, '/dev/null'], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, TERM: 'xterm', LC_ALL: 'C.UTF-8', NO_COLOR: '' },
    });
    child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    await until('the lab is up', TIMEOUT_MS, () => text.includes('npm run lab -- matrix'));
  }, TIMEOUT_MS);
  afterAll(async () => {
    if (child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.stdin!.write('\u0003');
    await ended;
  });

  it('fits into it, in colour, and explains pairs', () => {
    const lines = text.replaceAll('\r\n', '\n').split('\n');
    expect(lines.filter((line) => widthOf(line) > 80)).toEqual([]);
    expect(text).toContain('\u001B[32m✓\u001B[39m all pods reach all pods and nodes');
    expect(text).toContain('48 of 48 pairs, IPv4 and IPv6');
    expect(text).toContain('IPv6 BGP status\r\n+-');
  });

  it('refuses invalid and ambiguous names, and changes nothing', async () => {
    const before = await askLab({ do: 'show' });
    for (const [command, reason] of [
      [{ do: 'node add', name: 'Node_X' }, 'node "Node_X": invalid name'],
      [{ do: 'node add', name: 'lab' }, 'node "lab": invalid name'],
      [{ do: 'node add', name: 'node1-a' }, 'node node1-a: a pod has this name'],
      [{ do: 'pod add', node: 'node1', name: 'Pod_X' }, 'pod "Pod_X": invalid name'],
      [{ do: 'pod add', node: 'node1', name: 'node2' }, 'pod node2: a node has this name'],
      [{ do: 'node start', name: 'Node_X' }, 'node Node_X does not exist'],
    ] as const)
      await expect(askLab(command)).rejects.toThrow(reason);
    expect(await askLab({ do: 'show' })).toEqual(before);
  });

  it('probes an IPv4-only pod over IPv4 only', async () => {
    const annotations = { 'cni.projectcalico.org/ipAddrs': '["10.244.7.9"]' };
    await askLab({ do: 'pod add', node: 'node3', name: 'z-ipv4', annotations });
    expect(await askLab({ do: 'matrix', timeoutMs: 30_000 })).toMatchObject({ unreachable: [] });
    await askLab({ do: 'flows start', intervalMs: 10 });
    await new Promise((resolve) => setTimeout(resolve, 500));
    const flows = ((await askLab({ do: 'flows stop' })) as FlowReport[]).filter(({ to }) => to === 'z-ipv4');
    expect(flows.map(({ address }) => address)).toEqual(['10.244.7.9', '10.244.7.9', '10.244.7.9']);
    expect(flows.every(({ sent, lost }) => sent > lost)).toBe(true);
    await askLab({ do: 'pod delete', name: 'z-ipv4' });
  });

  it('loses no packet while its prober is stopped, and reports the pause', async () => {
    const pid = Number(execCommand('lab', [])[2]);
    const stateOf = () => /\) (\w) /.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1];
    await askLab({ do: 'flows start', intervalMs: 10 });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    process.kill(pid, 'SIGSTOP');
    await until('the prober is stopped', TIMEOUT_MS, () => stateOf() === 'T');
    await new Promise((resolve) => setTimeout(resolve, 4000));
    process.kill(pid, 'SIGCONT');
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const reports = (await askLab({ do: 'flows stop' })) as FlowReport[];
    expect(reports.length).toBeGreaterThan(0);
    for (const report of reports) {
      expect(report).toMatchObject({ lost: 0, longestGap: 0 });
      expect(report.unsent).toBeGreaterThan(300);
      expect(report.longestStallMs).toBeGreaterThanOrEqual(3900);
    }
  });

  it('counts packets that are lost while the prober runs', async () => {
    const exec = (line: string) => {
      const [file, ...args] = execCommand('node2', ['sh', '-c', line]);
      expect(spawnSync(file!, args, { encoding: 'utf8' })).toMatchObject({ status: 0 });
    };
    await askLab({ do: 'flows start', intervalMs: 10 });
    await new Promise((resolve) => setTimeout(resolve, 500));
    exec('ip link set eth0 down');
    await new Promise((resolve) => setTimeout(resolve, 500));
    exec('ip link set eth0 up');
    const reports = (await askLab({ do: 'flows stop' })) as FlowReport[];
    const between = (a: string, b: string) =>
      reports.filter(({ from, to }) => from.startsWith(a) && to.startsWith(b));
    expect(between('node1', 'node2').every(({ lost }) => lost > 0)).toBe(true);
    expect(between('node2', 'node2').every(({ lost }) => lost === 0)).toBe(true);
  });

  it('leaves no zombie of a process whose parent has exited', async () => {
    const [file, ...args] = execCommand('lab', ['sh', '-c', '(sleep 0.2; exit 3) & (sleep 0.2) & exit 0']);
    const pid = Number(args[1]);
    expect(spawnSync(file!, args).status).toBe(0);
    // `children` avoids reading the other processes of this machine.
    const children = () =>
      readdirSync(`/proc/${pid}/task`).flatMap((task) =>
        readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean),
      );
    const zombies = () =>
      children().filter((one) => {
        try {
          return / Z /.test(readFileSync(`/proc/${one}/stat`, 'utf8'));
        } catch {
          return false;
        }
      });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await until('no zombie is left', TIMEOUT_MS, () => zombies().length === 0);
  });

  it('ends at Ctrl-C without further output', async () => {
    const before = text.length;
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    child.stdin!.write('\u0003');
    expect(await ended).toBe(0);
    expect(text.slice(before).replace('^C', '').trim()).toBe('');
  });
});

it('a signal to the outer process alone ends the lab', async () => {
  const child = spawn(process.execPath, [labProgram, 'start', '--json', '--nodes', '1', '--pods', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  await until('the lab is up', TIMEOUT_MS, () => text.includes('"ready":true'));
  child.kill('SIGINT');
  expect(await ended).toBe(0);
  expect(readdirSync(folder)).not.toContain('lab');
});

it('an unusable CALI_LAB_DIR is refused with the reason', () => {
  const kept = path.join(folder, 'kept');
  writeFileSync(path.join(folder, 'file'), '');
  mkdirSync(kept);
  writeFileSync(path.join(kept, 'mine'), '');
  for (const [directory, reason] of [
    ['/proc/x', 'folder /proc/x cannot be created: ENOENT'],
    [path.join(folder, 'file'), 'cannot be created: EEXIST'],
    [kept, 'has files of other programs (mine)'],
    [path.join(folder, 'a'.repeat(90)), 'is too long for a unix socket'],
  ] as const) {
    const { status, stderr } = spawnSync(process.execPath, [labProgram, 'start', '--once'], {
      encoding: 'utf8',
      timeout: TIMEOUT_MS,
      env: { ...process.env, CALI_LAB_DIR: directory },
    });
    expect(stderr).toContain(reason);
    expect(stderr).toContain('set CALI_LAB_DIR to another directory');
    expect(status).toBe(1);
  }
  expect(readdirSync(kept)).toEqual(['mine']);
});

it('an unknown lab command is reported with the list of commands', () => {
  const lab = (...args: string[]) =>
    spawnSync(process.execPath, [labProgram, ...args], { encoding: 'utf8', timeout: TIMEOUT_MS });
  expect(lab('bogus')).toMatchObject({
    status: 1,
    stdout: '',
    stderr:
      'unknown lab command bogus: start, exec, pod, node, restart, debug, api, show, matrix, flows, help\n',
  });
  const { status, stderr } = lab('node', 'bogus');
  expect(status).toBe(1);
  expect(stderr).toContain("unknown command 'bogus'");
  expect(lab('matrix')).toMatchObject({ status: 1, stderr: expect.stringContaining('no lab is running') });
});

describe('npm start on a machine without nft', () => {
  it('installs nothing, reports what is missing, and still shows the network', () => {
    const bin = path.join(folder, 'bin');
    const log = path.join(folder, 'apt.log');
    // In a mount namespace, /usr/sbin becomes a folder of links to all its programs except nft.
    const script = `
      mkdir -p '${bin}' '${folder}/sbin' && mount --bind /usr/sbin '${folder}/sbin' && mount -t tmpfs sbin /usr/sbin
      for file in '${folder}'/sbin/*; do [ "\${file##*/}" = nft ] || ln -s "$file" /usr/sbin/; done
      PATH='${bin}':$PATH exec npm run --silent start -- --once --nodes 2 --pods 1 --no-ipv6`;
    spawnSync('mkdir', ['-p', bin]);
    writeFileSync(path.join(bin, 'apt-get'), `#!/bin/sh\necho "$@" >> '${log}'\n`, { mode: 0o755 });
    const environment = Object.entries(process.env).filter(([name]) => name !== 'CI');
    const { status, stdout, stderr } = spawnSync(
      'unshare',
      ['--user', '--map-root-user', '--mount', 'sh', '-c', script],
      { cwd: root, encoding: 'utf8', env: Object.fromEntries(environment), timeout: TIMEOUT_MS },
    );
    expect(stderr).toBe(
      'nft is missing (Debian package nftables), which is optional: natOutgoing has no effect, and nodes are not protected from pods.\n' +
        'Install with: apt-get install nftables\n',
    );
    expect(stdout).toContain('all pods reach all pods and nodes: 6 of 6 pairs');
    expect(stdout).not.toContain('\u001B');
    expect(status).toBe(0);
    expect(readdirSync(folder)).not.toContain('apt.log');
  });
});
