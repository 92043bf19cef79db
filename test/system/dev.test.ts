/** The first hour: `npm run dev` restarts agents after a change, and `npm run lab -- debug` opens their inspector. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { execCommand } from '../../lab/outside.ts';
import { root, until } from '../helpers/lab.ts';

const TIMEOUT_MS = 600_000;
const PORT = 19_229;

/** A copy of the sources, which the test may change. */
let clone = '';
let dev: ChildProcess;
let output = '';

beforeAll(async () => {
  clone = mkdtempSync(path.join(os.tmpdir(), 'cali-dev-'));
  const isCopied = (file: string) => !/^(\.git|dist|node_modules|test)$/.test(file);
  for (const name of readdirSync(root).filter(isCopied))
    cpSync(path.join(root, name), path.join(clone, name), { recursive: true });
  symlinkSync(path.join(root, 'node_modules'), path.join(clone, 'node_modules'));
  symlinkSync(path.join(root, 'test'), path.join(clone, 'test'));
  process.env['CALI_LAB_DIR'] = path.join(clone, 'lab.run');
  // Its own process group, as in a terminal: Ctrl-C signals the whole group.
  dev = spawn(process.execPath, ['scripts/enter.cjs', 'dev', '--nodes', '2', '--pods', '1'], {
    cwd: clone,
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  dev.stdout!.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  await until('the lab is up', 120_000, () => output.includes('The lab is up') || dev.exitCode !== null);
}, TIMEOUT_MS);

afterAll(async () => {
  await interrupt(dev);
  rmSync(clone, { recursive: true, force: true });
}, TIMEOUT_MS);

/** What Ctrl-C does in a terminal. */
async function interrupt(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  process.kill(-child.pid!, 'SIGINT');
  await ended;
}

function inside(place: string, command: string): string {
  const [file, ...args] = execCommand(place, ['sh', '-c', command]);
  return spawnSync(file!, args, { encoding: 'utf8' }).stdout;
}

const inspectors = () => inside('node1', 'ss -ltnH').match(/127\.0\.0\.1:9229/g) ?? [];

it('npm run dev restarts the agents with the changed source', async () => {
  const file = path.join(clone, 'agent', 'main.ts');
  const before = readFileSync(file, 'utf8');
  const after = before.replace("'agent started'", "'agent started after a change'");
  expect(after).not.toBe(before);
  writeFileSync(file, after);
  await until('the agents restarted', 30_000, () => output.includes('agents restarted'));
  expect(output).toMatch(/^agent\/main\.ts: agents restarted, [\d.]+ s after the change$/m);
  for (const node of ['node1', 'node2'])
    expect(inside('lab', `tail -n 200 /run/cali-lab/log/${node}.log`)).toContain(
      'agent started after a change',
    );
});

it('npm run dev keeps the running agents when the sources have an error', async () => {
  const file = path.join(clone, 'agent', 'main.ts');
  const before = readFileSync(file, 'utf8');
  const agents = () => inside('lab', 'pgrep -f [c]ali-node.js');
  const running = agents();
  expect(running).not.toBe('');
  writeFileSync(file, `${before}\nconst = ;\n`);
  try {
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(agents()).toBe(running);
  } finally {
    writeFileSync(file, before);
  }
});

it('npm run lab -- debug opens the inspector of one agent until it ends', async () => {
  const debug = spawn(
    process.execPath,
    ['scripts/enter.cjs', 'run', 'cali-lab', 'debug', 'node1', '--port', String(PORT)],
    { cwd: clone, detached: true, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let text = '';
  debug.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  try {
    await until('the address is printed', 60_000, () => text.includes('VS Code') || debug.exitCode !== null);
    const id = /ws=127\.0\.0\.1:19229\/([0-9a-f-]{36})$/m.exec(text)?.[1];
    const [target] = (await getJson('/json/list')) as { id: string; title: string }[];
    expect(target).toMatchObject({ id, title: expect.stringContaining('cali-node.js') });
    expect(inspectors()).toHaveLength(1);
  } finally {
    await interrupt(debug);
  }
  await until('the inspector is closed', 10_000, () => inspectors().length === 0);
  expect(inside('node1', 'calictl node status')).toContain('Cali process is running.');
});

it('npm run dev leaves nothing behind after Ctrl-C, even during a build', async () => {
  const file = path.join(clone, 'agent', 'main.ts');
  writeFileSync(file, `${readFileSync(file, 'utf8')}\nprocess.title = 'cali';\n`);
  await new Promise((resolve) => setTimeout(resolve, 150));
  await interrupt(dev);
  expect(dev.exitCode).toBe(0);
  expect(readdirSync(path.join(clone, 'dist')).filter((file) => file.startsWith('dev-'))).toEqual([]);
  expect(existsSync(process.env['CALI_LAB_DIR']!)).toBe(false);
});

function getJson(url: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    http
      .get({ host: '127.0.0.1', port: PORT, path: url, agent: false }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve(JSON.parse(text)));
      })
      .on('error', reject);
  });
}
