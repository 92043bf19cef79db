/** HTTP to the API server: requests, and streams of lines. */

import http from 'node:http';
import type { ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import https from 'node:https';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { messageOf } from '../../lib/errors.ts';
import { printable } from '../../lib/plain-text.ts';
import { systemTime } from '../../lib/time.ts';
import { VERSION } from '../../lib/version.ts';
import { DatastoreError, type DatastoreErrorCode } from '../errors.ts';
import type { ApiServerAddress, Connection } from './api-server-address.ts';
import { deadline } from './deadline.ts';
import { trackSocket } from './open-sockets.ts';
import { type RequestObserver, requestKind } from './request-kind.ts';

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal?: AbortSignal;
  readonly observe?: RequestObserver | undefined;
}

/** A response with an unread body. */
interface ApiResponse {
  readonly status: number;
  readonly body: Readable;
}

/** A request for either version of HTTP. */
interface Outgoing {
  readonly url: URL;
  readonly method: string;
  readonly headers: Readonly<Record<string, string | number>>;
  readonly body: string | undefined;
  readonly signal: AbortSignal | undefined;
}

const REQUEST_TIMEOUT_MS = 15_000;
/** Maximum octets of a response. A page of a list has some megabytes. */
const MAX_ANSWER = 256 * 1024 * 1024;
/** In client-go's form: program, version and platform. Audit logs and API priority show it. */
const USER_AGENT = `${path.basename(process.argv[1] ?? 'cali', '.js')}/${VERSION} (${process.platform}/${process.arch})`;

/** Sends a request and returns the parsed JSON response. Throws DatastoreError. */
export async function sendRequest(address: ApiServerAddress, request: ApiRequest): Promise<unknown> {
  const limit = deadline(
    systemTime,
    REQUEST_TIMEOUT_MS,
    `no response within ${REQUEST_TIMEOUT_MS / 1000} s`,
    request.signal,
  );
  try {
    const { status, body } = await open(address, { ...request, signal: limit.signal });
    const text = await readAll(body);
    if (status >= 400) throw errorOf(status, text);
    return text === '' ? undefined : parsed(address, text);
  } finally {
    limit.end();
  }
}

function parsed(address: ApiServerAddress, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const message = `${address.url.origin}: the response is not JSON: ${printable(text, 80)}`;
    throw new DatastoreError('UNAVAILABLE', message, { cause: error });
  }
}

/** Opens a stream (a watch). Throws DatastoreError when it is refused; aborting the signal ends it. */
export async function openStream(address: ApiServerAddress, request: ApiRequest): Promise<Readable> {
  const { status, body } = await open(address, request);
  if (status >= 400) throw errorOf(status, await readAll(body));
  return body;
}

async function open(address: ApiServerAddress, request: ApiRequest): Promise<ApiResponse> {
  const response = await attempt(address, request, false);
  if (response.status !== 401) return response;
  // The token may have been rotated: reread it once.
  response.body.resume();
  return attempt(address, request, true);
}

async function attempt(
  address: ApiServerAddress,
  request: ApiRequest,
  isRefused: boolean,
): Promise<ApiResponse> {
  let connection: Connection;
  try {
    connection = await address.connection(isRefused);
  } catch (error) {
    throw new DatastoreError('UNAVAILABLE', `credentials for ${address.url.origin}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const { method, query, observe, signal } = request;
  const count = (code: string) =>
    observe?.(requestKind(method, request.path, query?.['watch'] !== undefined), code);
  try {
    const response = await exchange(connection, outgoing(address, request, connection));
    count(String(response.status));
    return response;
  } catch (error) {
    // A request that this side aborted is not an error.
    if (!signal?.aborted) count('error');
    throw new DatastoreError(
      'UNAVAILABLE',
      `${address.url.origin}: ${messageOf(signal?.aborted && signal.reason instanceof Error ? signal.reason : error)}`,
      { cause: error },
    );
  }
}

function outgoing(address: ApiServerAddress, request: ApiRequest, { headers }: Connection): Outgoing {
  const url = new URL(address.url.pathname.replace(/\/$/, '') + request.path, address.url);
  for (const [name, value] of Object.entries(request.query ?? {}))
    if (value !== undefined) url.searchParams.set(name, value);
  const body = request.body === undefined ? undefined : JSON.stringify(request.body);
  const lower = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
  return {
    url,
    method: request.method,
    headers: {
      accept: 'application/json',
      'user-agent': USER_AGENT,
      ...Object.fromEntries(lower),
      ...(body === undefined
        ? {}
        : {
            'content-type': request.contentType ?? 'application/json',
            'content-length': Buffer.byteLength(body),
          }),
    },
    body,
    signal: request.signal,
  };
}

/** Sends a request, and repeats it once when the server certainly did not process it or when it is a GET. */
async function exchange(connection: Connection, request: Outgoing): Promise<ApiResponse> {
  const send = async () => (await overHttp2(connection, request)) ?? (await overHttp1(connection, request));
  try {
    return await send();
  } catch (error) {
    if (request.signal?.aborted || !isRepeatable(error, request.method)) throw error;
    return send();
  }
}

/** A kept-alive connection that ended while a request was in flight. */
class StaleConnection extends Error {}

function isRepeatable(error: unknown, method: string): boolean {
  const { code, message } = error as NodeJS.ErrnoException;
  // RFC 9113 section 8.7: not processed.
  if (code === 'ERR_HTTP2_STREAM_ERROR' && message.includes('REFUSED_STREAM')) return true;
  if (['ERR_HTTP2_INVALID_SESSION', 'ERR_HTTP2_GOAWAY_SESSION'].includes(code ?? '')) return true;
  return method === 'GET' && error instanceof StaleConnection;
}

async function overHttp2(
  { multiplexer }: Connection,
  { url, method, headers, body, signal }: Outgoing,
): Promise<ApiResponse | undefined> {
  const pseudo = { ':method': method, ':path': url.pathname + url.search };
  const stream = await multiplexer?.open({ ...pseudo, ...headers }, signal);
  if (!stream) return undefined;
  return new Promise((resolve, reject) => {
    stream.once('response', (answer: IncomingHttpHeaders) => {
      stream.off('error', failed);
      // The reader of the body receives later errors. Without a reader they do not matter.
      stream.on('error', () => undefined);
      resolve({ status: Number(answer[':status']), body: stream });
    });
    const failed = (error: Error) => reject(error);
    stream.once('error', failed);
    stream.once('close', () => reject(staleOr(stream)));
    stream.end(body);
  });
}

/** Returns the error for a stream that closed without a response and without an error: its connection ended. */
function staleOr({ rstCode }: ClientHttp2Stream): Error {
  return new StaleConnection(`the connection was closed before the response (code ${rstCode})`);
}

function overHttp1(
  { agent }: Connection,
  { url, method, headers, body, signal }: Outgoing,
): Promise<ApiResponse> {
  const { request: start } = url.protocol === 'http:' ? http : https;
  return new Promise((resolve, reject) => {
    const request = start(url, { method, agent, headers, ...(signal ? { signal } : {}) }, (response) => {
      response.socket.setKeepAlive(true, 15_000);
      resolve({ status: response.statusCode ?? 500, body: response });
    });
    request.once('socket', (socket) => {
      socket.setNoDelay(true);
      trackSocket(socket);
    });
    request.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'ECONNRESET' && request.reusedSocket ? new StaleConnection(messageOf(error)) : error,
      ),
    );
    request.end(body);
  });
}

async function readAll(response: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > MAX_ANSWER) throw new RangeError(`it is longer than ${MAX_ANSWER} octets`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw new DatastoreError('UNAVAILABLE', `the response was cut off: ${messageOf(error)}`, {
      cause: error,
    });
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Returns the error for a status code and a body that should be a metav1.Status. */
export function errorOf(statusCode: number, body: string): DatastoreError {
  let status: { message?: unknown; reason?: unknown } = {};
  try {
    status = (JSON.parse(body) ?? {}) as typeof status;
  } catch {
    status = { message: printable(body, 200) };
  }
  const { message, reason } = status;
  return new DatastoreError(
    codeOf(statusCode, reason),
    typeof message === 'string' && message !== '' ? message : `the API server answered ${statusCode}`,
  );
}

function codeOf(statusCode: number, reason: unknown): DatastoreErrorCode {
  if (reason === 'AlreadyExists') return 'ALREADY_EXISTS';
  switch (statusCode) {
    case 404:
      return 'NOT_FOUND';
    case 409:
      return 'CONFLICT';
    case 410:
      return 'EXPIRED';
    case 400:
    case 415:
    case 422:
      return 'INVALID';
    case 401:
    case 403:
      return 'FORBIDDEN';
    default:
      return 'UNAVAILABLE';
  }
}
