import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { root, until } from '../helpers/lab.ts';

const PATIENCE_MS = 60_000;

let directory: string;
let child: ChildProcess | undefined;
let nudge: NodeJS.Timeout | undefined;
beforeEach(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'cali-crash-'));
});
afterEach(() => {
  clearInterval(nudge);
  child?.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

interface Ended {
  readonly code: number | null;
  readonly lines: Record<string, unknown>[];
  readonly stderr: string;
}

const configuration = (listenPort: number) =>
  JSON.stringify({
    apiVersion: 'projectcalico.org/v3',
    kind: 'BGPConfiguration',
    metadata: { name: 'default' },
    spec: { listenPort, routerID: '192.0.2.1', listenAddresses: ['127.0.0.1'] },
  });

/** Runs the built reflector to its end, with a module of the test preloaded. Calls `poke` once it runs. */
async function run(module: string, poke: (file: string, child: ChildProcess) => void): Promise<Ended> {
  const file = path.join(directory, 'config.yaml');
  const port = 20_000 + (process.pid % 20_000);
  writeFileSync(file, configuration(port));
  const planted = path.join(directory, 'planted.mjs');
  writeFileSync(planted, module);
  const program = path.join(root, 'dist', 'cali-node.js');
  child = spawn(process.execPath, ['--import', planted, program, '--role', 'reflector', '--config', file], {
    env: { ...process.env, NODENAME: 'n1', CALI_RUN_DIR: path.join(directory, 'run') },
  });
  let stdout = '';
  let stderr = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = new Promise<number | null>((resolve) => child!.once('close', resolve));
  await until(
    'the program is running',
    PATIENCE_MS,
    () => stdout.includes('"route reflector started"') || child!.exitCode !== null,
  );
  poke(file, child);
  const code = await ended;
  const lines = stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { code, lines, stderr };
}

describe('a program that dies of an uncaught error', () => {
  it('logs the reason and the source lines as one line of JSON, and exits with code 1', async () => {
    const { code, lines, stderr } = await run(
      `globalThis.clearTimeout = () => { if (globalThis.isArmed) throw new Error('planted fault'); };
       process.on('SIGUSR2', () => { globalThis.isArmed = true; });`,
      (file, { pid }) => {
        process.kill(pid!, 'SIGUSR2');
        // A change of the file makes its watch clear a timer.
        nudge = setInterval(() => writeFileSync(file, configuration(20_001)), 200);
      },
    );
    expect(code).toBe(1);
    const last = lines.at(-1)!;
    expect(last).toMatchObject({
      level: 60,
      name: 'cali-node',
      reason: 'planted fault',
      origin: 'uncaughtException',
    });
    expect(last['stack']).toEqual(
      expect.arrayContaining([expect.stringMatching(/agent\/reflector\/file-source\.ts:\d+:\d+/)]),
    );
    expect(JSON.stringify(last).length).toBeLessThan(8_000);
    expect(stderr).toBe('');
  });

  it('logs a rejected promise too, and a reason that is not an Error', async () => {
    const { code, lines } = await run(
      `process.on('SIGUSR2', () => { void Promise.reject({ toString: () => 'no \\u202e error' }); });`,
      (_, { pid }) => process.kill(pid!, 'SIGUSR2'),
    );
    expect(code).toBe(1);
    expect(lines.at(-1)).toMatchObject({ level: 60, origin: 'unhandledRejection' });
  });
});

describe('a program that receives SIGTERM', () => {
  it('exits with code 0', async () => {
    const { code } = await run('', (_, { pid }) => process.kill(pid!, 'SIGTERM'));
    expect(code).toBe(0);
  });

  it('exits at the second signal if the first one hangs', async () => {
    const { code } = await run(
      // A server that never reports that it is closed.
      `import net from 'node:net';
       process.on('SIGUSR2', () => { net.Server.prototype.close = function () { return this; }; });`,
      (_, { pid }) => {
        process.kill(pid!, 'SIGUSR2');
        setTimeout(() => process.kill(pid!, 'SIGTERM'), 250);
        setTimeout(() => process.kill(pid!, 'SIGTERM'), 500);
      },
    );
    expect(code).toBe(1);
  });
});
