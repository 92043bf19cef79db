import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net, { type Server } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { tcpTransport } from '../../../bgp/transport/tcp.ts';
import { serveRoutes } from '../../../lib/http.ts';
import { surviveAccept } from '../../../lib/listening.ts';
import { listenUnix } from '../../../lib/unix-socket.ts';

afterEach(() => vi.restoreAllMocks());

const refused = Object.assign(new Error('accept ENFILE'), { code: 'ENFILE' });
/** Emits Node's error for a failed accept twice. The server must continue to serve. */
const failToAccept = (server: Server) => {
  server.emit('error', refused);
  server.emit('error', refused);
};

it('a connection that cannot be accepted is logged once a minute, and the server continues', async () => {
  const server = net.createServer((socket) => socket.end('here'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const warnings: string[] = [];
  surviveAccept(server, (sentence) => warnings.push(sentence));
  failToAccept(server);
  const { port } = server.address() as net.AddressInfo;
  const [answer] = await once(net.connect(port, '127.0.0.1'), 'data');
  expect(String(answer)).toBe('here');
  expect(warnings).toEqual(['cannot accept a connection: accept ENFILE']);
  server.close();
});

it('every listening server survives a connection that cannot be accepted', async () => {
  vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  const servers: Server[] = [];
  const listen = net.Server.prototype.listen;
  vi.spyOn(net.Server.prototype, 'listen').mockImplementation(function (this: Server, ...args: unknown[]) {
    servers.push(this);
    return Reflect.apply(listen, this, args);
  });
  const directory = mkdtempSync(path.join(os.tmpdir(), 'cali-listening-'));
  const listener = tcpTransport.listener({ port: 0, addresses: ['127.0.0.1'] }, () => undefined);
  await listener.listen();
  const http = await serveRoutes({ host: '127.0.0.1', port: 0 }, {});
  const unix = await listenUnix(net.createServer(), path.join(directory, 'a.sock'));
  expect(servers).toHaveLength(3);
  for (const server of servers) expect(() => failToAccept(server)).not.toThrow();
  await listener.close();
  http.close();
  unix.close();
  rmSync(directory, { recursive: true });
});
