import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callCni } from '../../../cni/client.ts';
import type { CniAnswer } from '../../../cni/plugin.ts';
import { serveCni } from '../../../cni/server.ts';
import type { CniRequest } from '../../../cni/types.ts';
import { systemTime } from '../../../lib/time.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'cali-cni-'));
});

describe('the CNI socket', () => {
  const request = { environment: { CNI_COMMAND: 'VERSION' }, stdin: '' };
  const serve = async (
    name: string,
    handle: (request: CniRequest) => Promise<CniAnswer>,
    limits?: { requestMs: number; maxCalls: number },
  ) => {
    const socket = path.join(directory, name);
    const server = await serveCni(socket, { handle }, systemTime, limits);
    return { socket, close: async () => server.close() };
  };

  it('answers with an error when the plugin throws', async () => {
    const { socket, close } = await serve('throws.sock', () => Promise.reject(new Error('broken')));
    const { exitCode, output } = await callCni(socket, request);
    expect(exitCode).toBe(1);
    expect(JSON.parse(output)).toMatchObject({ code: 11, msg: expect.stringContaining('broken') });
    await close();
  });

  it('refuses a request of more than a megabyte with a reason, and does not pass it on', async () => {
    let calls = 0;
    const { socket, close } = await serve('large.sock', async () => {
      calls++;
      return { exitCode: 0, output: '' };
    });
    const { exitCode, output } = await callCni(socket, { ...request, stdin: 'x'.repeat(3 << 20) });
    expect(exitCode).toBe(1);
    expect(JSON.parse(output)).toMatchObject({ code: 6, msg: expect.stringContaining('more than 1048576') });
    expect(calls).toBe(0);
    await close();
  });

  it('closes a call that is never completed, and serves other calls meanwhile', async () => {
    const { socket, close } = await serve('slow.sock', async () => ({ exitCode: 0, output: 'ok' }), {
      requestMs: 300,
      maxCalls: 100,
    });
    const unfinished = Array.from({ length: 20 }, () => net.connect(socket));
    const closed = unfinished.map(
      (one) =>
        new Promise((resolve) => {
          one.on('close', resolve).on('error', () => undefined);
          one.write('CNI_COMMAND=ADD\0');
        }),
    );
    expect(await callCni(socket, request)).toEqual({ exitCode: 0, output: 'ok' });
    await Promise.all(closed);
    await close();
  });

  it('refuses calls above its limit, and accepts calls again afterwards', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { socket, close } = await serve(
      'many.sock',
      async () => {
        await held;
        return { exitCode: 0, output: 'ok' };
      },
      { requestMs: 10_000, maxCalls: 3 },
    );
    const calls = Array.from({ length: 10 }, () => callCni(socket, request));
    const settled = Promise.allSettled(calls);
    await new Promise<void>((resolve) => {
      let refused = 0;
      for (const one of calls) one.catch(() => ++refused === 7 && resolve());
    });
    release();
    const outcomes = (await settled).map(({ status }) => status);
    expect(outcomes.filter((status) => status === 'fulfilled')).toHaveLength(3);
    expect(outcomes.filter((status) => status === 'rejected')).toHaveLength(7);
    expect(await callCni(socket, request)).toEqual({ exitCode: 0, output: 'ok' });
    await close();
  });
});

const hasGcc = spawnSync('gcc', ['--version']).status === 0;

describe.skipIf(!hasGcc)('the shim (skipped when gcc is not installed)', () => {
  let shim: string;
  let server: net.Server;
  let socket: string;
  let answer = '';
  beforeAll(async () => {
    shim = path.join(directory, 'shim');
    socket = path.join(directory, 'shim.sock');
    const source = path.resolve(import.meta.dirname, '../../../cni/shim.c');
    const built = spawnSync('gcc', ['-O2', '-Wall', '-Wextra', '-Werror', '-o', shim, source]);
    expect(built.stderr.toString()).toBe('');
    server = net.createServer({ allowHalfOpen: true }, (connection) => {
      connection.on('error', () => undefined);
      connection.resume().on('end', () => connection.end(answer));
    });
    await new Promise<void>((resolve) => server.listen(socket, resolve));
  });
  afterAll(() => server.close());

  const call = (text: string, at = socket) => {
    answer = text;
    return new Promise<{ code: number | null; stdout: string }>((resolve) => {
      const child = spawn(shim, { env: { CALI_CNI_SOCKET: at, CNI_COMMAND: 'ADD' } });
      let stdout = '';
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        stdout += chunk;
      });
      child.on('close', (code) => resolve({ code, stdout }));
      child.stdin.on('error', () => undefined);
      child.stdin.end('{}');
    });
  };

  it('passes on the status and the output', async () => {
    expect(await call('0\n{"a":1}')).toEqual({ code: 0, stdout: '{"a":1}' });
    expect(await call('1\n')).toEqual({ code: 1, stdout: '' });
    const large = 'x'.repeat(900_000);
    expect(await call(`0\n${large}`)).toEqual({ code: 0, stdout: large });
  });

  it.each(['', '0', 'x\n{}', '\n{}', '0000\n{}', '256\n{}', '-1\n{}', `0\n${'x'.repeat(2 << 20)}`])(
    'does not treat an answer of the form %.10j as success',
    async (text) => {
      const { code, stdout } = await call(text);
      expect(code).toBe(1);
      expect(JSON.parse(stdout)).toMatchObject({
        code: 11,
        msg: expect.stringContaining('does not respond'),
      });
    },
  );

  it('writes valid JSON whatever its socket path contains', async () => {
    const { code, stdout } = await call('', '/nowhere/a"b\\c\nd\u0001é');
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ code: 11, msg: expect.stringContaining('a"b\\c\nd') });
  });
});
