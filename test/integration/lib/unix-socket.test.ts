import { fork } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { json, serveRoutes, text } from '../../../lib/http.ts';
import { assertPrivateFolder, assertTrustedSocket, listenUnix } from '../../../lib/unix-socket.ts';

let directory: string;
let socket: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'cali-socket-'));
  socket = path.join(directory, 'a.sock');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const server = (answer: string) =>
  net.createServer((client) => client.on('error', () => undefined).end(answer));
const ask = (at = socket): Promise<string> =>
  new Promise((resolve, reject) => {
    let answer = '';
    const client = net.connect(at).setEncoding('utf8');
    client.on('data', (chunk: string) => {
      answer += chunk;
    });
    client.once('error', reject);
    client.once('end', () => resolve(answer));
  });

describe('a unix socket', () => {
  it('is accessible only to its owner from the start, whatever the umask', async () => {
    const before = process.umask(0);
    const modes = new Set<number>();
    const watched = server('a');
    // `listening` is emitted right after bind, so this is the mode that other users could have exploited.
    watched.once('listening', () => modes.add(lstatSync(String(watched.address())).mode & 0o777));
    const one = await listenUnix(watched, socket);
    process.umask(before);
    expect([...modes]).toEqual([0o600]);
    expect(lstatSync(socket).mode & 0o777).toBe(0o600);
    expect(await ask()).toBe('a');
    one.close();
    expect(existsSync(socket)).toBe(false);
  });

  it('is not taken from a live process, which continues to serve', async () => {
    const one = await listenUnix(server('one'), socket);
    await expect(listenUnix(server('two'), socket, 300)).rejects.toThrow(
      /another process listens on it: if this program runs twice, stop the other instance first/,
    );
    expect(await ask()).toBe('one');
    one.close();
  });

  it('is handed over by a process that ends while another one waits', async () => {
    const one = await listenUnix(server('one'), socket);
    const two = listenUnix(server('two'), socket, 60_000);
    setTimeout(() => one.close(), 300);
    const next = await two;
    expect(await ask()).toBe('two');
    next.close();
  });

  it('stays when its predecessor ends later', async () => {
    const one = await listenUnix(server('one'), socket);
    // As another version of the agent might: replaces the socket without a check.
    rmSync(socket);
    const two = await listenUnix(server('two'), socket);
    one.close();
    expect(await ask()).toBe('two');
    two.close();
    expect(existsSync(socket)).toBe(false);
  });

  it('left by a killed process is replaced', async () => {
    const program = path.join(directory, 'child.cjs');
    writeFileSync(
      program,
      `require('net').createServer().listen(${JSON.stringify(socket)}, () => process.send('up'));`,
    );
    const child = fork(program);
    await new Promise((resolve) => child.once('message', resolve));
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    expect(existsSync(socket)).toBe(true);
    const one = await listenUnix(server('new'), socket, 0);
    expect(await ask()).toBe('new');
    one.close();
  });

  it('does not replace a file or a link in its place', async () => {
    writeFileSync(path.join(directory, 'precious'), 'text');
    symlinkSync(path.join(directory, 'precious'), socket);
    await expect(listenUnix(server('x'), socket)).rejects.toThrow(/it is not a socket: remove it/);
    expect(existsSync(path.join(directory, 'precious'))).toBe(true);
  });

  it('is won by exactly one of ten processes that start at once over a dead socket', async () => {
    for (let round = 0; round < 20; round++) {
      const dead = net.createServer();
      await new Promise<void>((resolve) => dead.listen(`${socket}.dead`, resolve));
      // The server removes only the name that it was bound to; the renamed socket stays.
      renameSync(`${socket}.dead`, socket);
      await new Promise((resolve) => dead.close(resolve));
      const results = await Promise.allSettled(
        Array.from({ length: 10 }, (_, index) => listenUnix(server(String(index)), socket, 0)),
      );
      const up = results.flatMap((result, index) => (result.status === 'fulfilled' ? [index] : []));
      expect(up).toHaveLength(1);
      expect(await ask()).toBe(String(up[0]));
      for (const result of results) if (result.status === 'fulfilled') result.value.close();
      expect(readdirSync(directory)).toEqual([]);
    }
  });

  it('is won by exactly one of two processes that start at once', async () => {
    const results = await Promise.allSettled([
      listenUnix(server('one'), socket, 0),
      listenUnix(server('two'), path.join(directory, '.', 'a.sock'), 0),
    ]);
    const up = results.filter(({ status }) => status === 'fulfilled');
    expect(up).toHaveLength(1);
    expect(['one', 'two']).toContain(await ask());
    for (const result of results) if (result.status === 'fulfilled') result.value.close();
  });
});

describe('trusted paths', () => {
  it('exclude a run directory that others can write, with the remedy', () => {
    assertPrivateFolder(directory);
    chmodSync(directory, 0o777);
    expect(() => assertPrivateFolder(directory)).toThrow(/is writable by others: chmod 0755 it/);
    symlinkSync(directory, `${directory}.link`);
    expect(() => assertPrivateFolder(`${directory}.link`)).toThrow(/is not a directory: remove it/);
    rmSync(`${directory}.link`);
  });

  it('exclude a symbolic link to a socket', async () => {
    mkdirSync(path.join(directory, 'other'));
    const real = path.join(directory, 'other', 'b.sock');
    const one = await listenUnix(server('evil'), real);
    symlinkSync(real, socket);
    expect(() => assertTrustedSocket(socket)).toThrow(/is not a socket/);
    expect(() => assertTrustedSocket(real)).not.toThrow();
    one.close();
  });
});

describe('the HTTP server of health and metrics', () => {
  const routes = {
    '/ok': () => text(200, 'fine'),
    '/fails': () => Promise.reject(new Error('broken')),
    '/throws': () => {
      throw new Error('broken at once');
    },
    '/query': (query: URLSearchParams) => json(query.get('a')),
  };
  const get = (url: string, options: http.RequestOptions = {}): Promise<{ code: number; body: string }> =>
    new Promise((resolve, reject) => {
      const request = http.request(
        { socketPath: socket, path: url, agent: false, ...options },
        (response) => {
          let body = '';
          response.setEncoding('utf8').on('data', (chunk: string) => {
            body += chunk;
          });
          response.on('end', () => resolve({ code: response.statusCode!, body }));
        },
      );
      request.on('error', reject);
      request.end();
    });

  it('answers when a route fails, and continues to serve', async () => {
    const serving = await serveRoutes({ path: socket }, routes);
    expect(await get('/fails')).toEqual({ code: 500, body: 'broken\n' });
    expect(await get('/throws')).toEqual({ code: 500, body: 'broken at once\n' });
    expect(await get('/ok')).toEqual({ code: 200, body: 'fine\n' });
    expect(await get('/query?a=b')).toEqual({ code: 200, body: '"b"' });
    serving.close();
  });

  it('refuses huge URLs, huge headers, other methods and names of inherited properties', async () => {
    const serving = await serveRoutes({ path: socket }, routes);
    expect((await get(`/ok?${'x'.repeat(3000)}`)).code).toBe(414);
    expect((await get('/ok', { headers: { big: 'x'.repeat(20_000) } })).code).toBe(431);
    expect((await get('/ok', { method: 'DELETE' })).code).toBe(404);
    expect((await get('/__proto__')).code).toBe(404);
    expect((await get('/ok')).code).toBe(200);
    serving.close();
  });

  it('drops a client that does not complete its request', async () => {
    const serving = await serveRoutes({ path: socket }, routes);
    const slow = net.connect(socket);
    slow.on('error', () => undefined).resume();
    slow.write('GET /ok HTTP/1.1\r\nHost: x\r\n');
    await new Promise((resolve) => slow.once('close', resolve));
    expect((await get('/ok')).code).toBe(200);
    serving.close();
  });
});
