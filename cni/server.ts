/**
 * CNI calls on a unix socket. The shim (cni/shim.c) sends its CNI_* variables as `NAME=value` and NUL each,
 * one more NUL, then standard input, and shuts down its side; the answer is the exit status in decimal, a
 * newline, and what goes to standard output.
 */
import { chmod, rm } from 'node:fs/promises';
import net, { type Server, type Socket } from 'node:net';
import type { Plugin } from './plugin.ts';
import type { CniRequest } from './types.ts';

const MAX_REQUEST_BYTES = 1 << 20;

export async function serveCni(socketPath: string, plugin: Plugin): Promise<Server> {
  await rm(socketPath, { force: true });
  const server = net.createServer({ allowHalfOpen: true }, (socket) => serveCall(socket, plugin));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketPath, resolve);
  });
  await chmod(socketPath, 0o600);
  return server;
}

function serveCall(socket: Socket, plugin: Plugin): void {
  const chunks: Buffer[] = [];
  let size = 0;
  socket.on('error', () => undefined);
  socket.on('data', (chunk) => {
    size += chunk.length;
    if (size > MAX_REQUEST_BYTES) socket.destroy();
    else chunks.push(chunk);
  });
  socket.on('end', () => {
    void plugin
      .handle(parseCall(Buffer.concat(chunks)))
      .then(({ exitCode, output }) => socket.end(`${exitCode}\n${output}`));
  });
}

/** The request that the shim sent. */
export function parseCall(bytes: Buffer): CniRequest {
  const text = bytes.toString('utf8');
  const end = text.indexOf('\0\0');
  const head = end < 0 ? text : text.slice(0, end);
  const environment: Record<string, string> = {};
  for (const pair of head.split('\0')) {
    const equals = pair.indexOf('=');
    if (equals > 0) environment[pair.slice(0, equals)] = pair.slice(equals + 1);
  }
  return { environment, stdin: end < 0 ? '' : text.slice(end + 2) };
}

/** Bytes of a request, as the shim sends them. */
export function formatCall({ environment, stdin }: CniRequest): string {
  const head = Object.entries(environment).map(([name, value]) => `${name}=${value}\0`);
  return `${head.join('')}\0${stdin}`;
}
