/**
 * CNI calls on a unix socket. The shim (cni/shim.c) sends its CNI_* variables as `NAME=value` and NUL each,
 * one more NUL, then standard input, and shuts down its side; the answer is the exit status in decimal, a
 * newline, and what goes to standard output.
 */
import net, { type Socket } from 'node:net';
import { messageOf } from '../lib/errors.ts';
import { listenUnix, type UnixSocket } from '../lib/unix-socket.ts';
import type { CniAnswer, Plugin } from './plugin.ts';
import { CniCode, CniError, type CniRequest } from './types.ts';

const MAX_REQUEST_BYTES = 1 << 20;
/** A shim sends its request at once; one that does not finish is closed. */
const REQUEST_MS = 10_000;
/** Calls at once. The kubelet starts pods in dozens; a call that finds no room is told to try again. */
const MAX_CALLS = 512;

/** Limits, smaller in tests. */
export interface CallLimits {
  readonly requestMs: number;
  readonly maxCalls: number;
}

export async function serveCni(
  socketPath: string,
  plugin: Pick<Plugin, 'handle'>,
  { requestMs, maxCalls }: CallLimits = { requestMs: REQUEST_MS, maxCalls: MAX_CALLS },
): Promise<UnixSocket> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => serveCall(socket, plugin, requestMs));
  // The shim reports a connection that closes without an answer as "try again later".
  server.maxConnections = maxCalls;
  return listenUnix(server, socketPath);
}

function serveCall(socket: Socket, plugin: Pick<Plugin, 'handle'>, requestMs: number): void {
  let chunks: Buffer[] = [];
  let size = 0;
  const timer = setTimeout(() => socket.destroy(), requestMs);
  socket.on('error', () => undefined);
  socket.on('close', () => clearTimeout(timer));
  socket.on('data', (chunk) => {
    size += chunk.length;
    // What is too much is read to its end and dropped: closing now would lose the answer.
    if (size > MAX_REQUEST_BYTES) chunks = [];
    else chunks.push(chunk);
  });
  socket.on('end', () => {
    clearTimeout(timer);
    const answered = size > MAX_REQUEST_BYTES ? Promise.resolve(tooLarge(size)) : answer(plugin, chunks);
    void answered.then(({ exitCode, output }) => socket.end(`${exitCode}\n${output}`));
  });
}

/** Never rejects. */
async function answer(plugin: Pick<Plugin, 'handle'>, chunks: readonly Buffer[]): Promise<CniAnswer> {
  try {
    return await plugin.handle(parseCall(Buffer.concat(chunks)));
  } catch (error) {
    return refusal(
      new CniError(CniCode.TRY_AGAIN_LATER, `cali-node failed to serve the call: ${messageOf(error)}`),
    );
  }
}

function tooLarge(size: number): CniAnswer {
  return refusal(
    new CniError(
      CniCode.DECODING_FAILURE,
      `the request has ${size} bytes, more than ${MAX_REQUEST_BYTES}: shorten the network configuration`,
    ),
  );
}

function refusal(error: CniError): CniAnswer {
  return { exitCode: 1, output: JSON.stringify(error.toJson('1.0.0')) };
}

/** The request that the shim sent. */
export function parseCall(bytes: Buffer): CniRequest {
  const text = bytes.toString('utf8');
  const end = text.indexOf('\0\0');
  const head = end < 0 ? text : text.slice(0, end);
  const pairs = head.split('\0').flatMap((pair): [string, string][] => {
    const equals = pair.indexOf('=');
    return equals > 0 ? [[pair.slice(0, equals), pair.slice(equals + 1)]] : [];
  });
  return { environment: Object.fromEntries(pairs), stdin: end < 0 ? '' : text.slice(end + 2) };
}

/** Bytes of a request, as the shim sends them. */
export function formatCall({ environment, stdin }: CniRequest): string {
  const head = Object.entries(environment).map(([name, value]) => `${name}=${value}\0`);
  return `${head.join('')}\0${stdin}`;
}
