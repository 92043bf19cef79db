/** A minimal client of Node's inspector: finds its WebSocket, and closes it (nodejs.org/api/inspector.html). */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type { Duplex } from 'node:stream';
import { CodedError } from '../lib/errors.ts';

/** Node opens the inspector a moment after the signal. */
const ATTEMPTS = 50;
const RETRY_MS = 100;
const TIMEOUT_MS = 5_000;
/** Time for our own connection to close first: close() would wait for it. */
const CLOSE = "setTimeout(() => process.getBuiltinModule('node:inspector').close(), 50)";

/** Returns the path of the inspector's WebSocket, such as `/0f2c936f-…`. Retries until it is open. */
export async function debuggerPath(host: string, port: number): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    try {
      const [target] = JSON.parse(await get(host, port, '/json/list')) as { webSocketDebuggerUrl: string }[];
      return new URL(target!.webSocketDebuggerUrl).pathname;
    } catch (error) {
      if (attempt === ATTEMPTS)
        throw new CodedError('INSPECTOR', 'the agent opens no inspector', { cause: error });
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

/** Makes the process behind the inspector close it. Resolves when the process has received that. */
export async function closeInspector(host: string, port: number): Promise<void> {
  const [target] = JSON.parse(await get(host, port, '/json/list')) as { webSocketDebuggerUrl: string }[];
  const request = http.request({
    host,
    port,
    path: new URL(target!.webSocketDebuggerUrl).pathname,
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': randomBytes(16).toString('base64'),
    },
    timeout: TIMEOUT_MS,
  });
  request.on('timeout', () => request.destroy(new Error('timeout')));
  request.end();
  const [, socket] = (await once(request, 'upgrade')) as [http.IncomingMessage, Duplex];
  socket.on('error', () => undefined);
  socket.write(
    textFrame(JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression: CLOSE } })),
  );
  await once(socket, 'data', { signal: AbortSignal.timeout(TIMEOUT_MS) });
  socket.destroy();
}

/** A final text frame of a client: masked, with a length of 16 bits (RFC 6455 section 5.2). */
export function textFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  const mask = randomBytes(4);
  const header = Buffer.from([0x81, 0x80 | 126, payload.length >> 8, payload.length & 0xff]);
  return Buffer.concat([header, mask, payload.map((byte, i) => byte ^ mask[i % 4]!)]);
}

function get(host: string, port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.get({ host, port, path, agent: false, timeout: TIMEOUT_MS }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve(text));
      response.on('error', reject);
    });
    request.on('timeout', () => request.destroy(new Error('timeout')));
    request.on('error', reject);
  });
}
