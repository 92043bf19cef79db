/**
 * Serves CNI calls on a unix socket. The shim (cni/shim.c) sends each CNI_* variable as `NAME=value` and NUL, one more
 * NUL, then standard input, and shuts down its side. The answer is the exit status in decimal, a newline, and the text
 * for standard output.
 */
import net, { type Socket } from 'node:net';
import { messageOf } from '../lib/errors.ts';
import type { Clock } from '../lib/time.ts';
import { listenUnix, type UnixSocket } from '../lib/unix-socket.ts';
import type { CniAnswer, Plugin } from './plugin.ts';
import { CniCode, CniError, type CniRequest } from './types.ts';

const MAX_REQUEST_BYTES = 1 << 20;
/** Time for a shim to send its request, which it does at once; then its connection is closed. */
const REQUEST_MS = 10_000;
/** Concurrent calls. The kubelet starts pods by the dozen; the shim of an excess call reports "try again later". */
const MAX_CALLS = 512;

/** Limits; tests use smaller ones. */
export interface CallLimits {
  readonly requestMs: number;
  readonly maxCalls: number;
}

/** Starts the server at a path. */
export type ServeCni = (
  socketPath: string,
  plugin: Pick<Plugin, 'handle'>,
  clock: Pick<Clock, 'after'>,
) => Promise<{ close(): unknown }>;

export async function serveCni(
  socketPath: string,
  plugin: Pick<Plugin, 'handle'>,
  clock: Pick<Clock, 'after'>,
  { requestMs, maxCalls }: CallLimits = { requestMs: REQUEST_MS, maxCalls: MAX_CALLS },
): Promise<UnixSocket> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    const cancel = clock.after(requestMs, () => socket.destroy());
    serveCall(socket, plugin, cancel);
  });
  // The shim reports a connection that closes without an answer as "try again later".
  server.maxConnections = maxCalls;
  return listenUnix(server, socketPath);
}

/** `cancel` cancels the time limit of the request. */
function serveCall(socket: Socket, plugin: Pick<Plugin, 'handle'>, cancel: () => void): void {
  let chunks: Buffer[] = [];
  let size = 0;
  socket.on('error', () => undefined);
  socket.on('close', cancel);
  socket.on('data', (chunk) => {
    size += chunk.length;
    // Read and discard the rest of an oversized request: closing now would lose the answer.
    if (size > MAX_REQUEST_BYTES) chunks = [];
    else chunks.push(chunk);
  });
  socket.on('end', () => {
    cancel();
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

/** Parses the shim's request. */
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

/** Formats a request as the shim sends it. */
export function formatCall({ environment, stdin }: CniRequest): string {
  const head = Object.entries(environment).map(([name, value]) => `${name}=${value}\0`);
  return `${head.join('')}\0${stdin}`;
}
