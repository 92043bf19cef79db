import { createServer } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { serveRoutes, text } from '../../../lib/http.ts';
import { type HttpAddress, MovingServer } from '../../../lib/moving-server.ts';
import { systemTime } from '../../../lib/time.ts';

const routes = { '/liveness': () => text(200, 'ok') };
const reasons: string[] = [];
let server: MovingServer;
const begin = () => {
  reasons.length = 0;
  server = new MovingServer(routes, (reason) => reasons.push(reason), {
    serve: serveRoutes,
    clock: systemTime,
  });
  return server;
};
afterEach(() => server.close());

/** Returns a port that is currently free. */
async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
const answers = ({ host, port }: HttpAddress) =>
  fetch(`http://${host}:${port}/liveness`).then(
    ({ status }) => status,
    () => 0,
  );
const until = (check: () => unknown) => vi.waitFor(check, { timeout: 100_000 });

describe('a server that moves to another address', () => {
  it.each(['10.0.0.300', '192.0.2.1'])('stays where it is when %s cannot be served', async (bad) => {
    const old = { host: '127.0.0.1', port: await freePort() };
    begin().moveTo([old]);
    await until(async () => expect(await answers(old)).toBe(200));
    server.moveTo([{ host: bad, port: await freePort() }]);
    await until(() => expect(reasons).toHaveLength(1));
    expect(await answers(old)).toBe(200);
    server.moveTo([{ host: bad, port: old.port }]);
    await until(() => expect(reasons).toHaveLength(2));
    expect(await answers(old)).toBe(200);
  });

  it('hands its port to a wider address, and back', async () => {
    const port = await freePort();
    const [narrow, wide] = [
      { host: '127.0.0.1', port },
      { host: '0.0.0.0', port },
    ];
    begin().moveTo([narrow]);
    await until(async () => expect(await answers(narrow)).toBe(200));
    server.moveTo([wide]);
    await until(async () => expect(await answers({ host: '127.0.0.2', port })).toBe(200));
    server.moveTo([narrow]);
    await until(async () => expect(await answers({ host: '127.0.0.2', port })).toBe(0));
    expect(await answers(narrow)).toBe(200);
    expect(reasons).toEqual([]);
  });

  it('serves the fallback when nothing else can be served, and reports why once', async () => {
    const port = await freePort();
    const fallback = { host: '127.0.0.1', port };
    begin().moveTo([{ host: '192.0.2.1', port }], fallback);
    await until(async () => expect(await answers(fallback)).toBe(200));
    expect(reasons).toEqual([expect.stringContaining(`192.0.2.1:${port}`)]);
  });

  it('retries an address until it is free', async () => {
    const at = { host: '127.0.0.1', port: await freePort() };
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(at, resolve));
    begin().moveTo([at]);
    await until(() => expect(reasons).toEqual([expect.stringContaining('EADDRINUSE')]));
    await new Promise((resolve) => holder.close(resolve));
    await until(async () => expect(await answers(at)).toBe(200));
  });
});
