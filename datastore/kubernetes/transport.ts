/** HTTP to the API server: one request, or one stream of lines. */
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { messageOf } from '../../lib/errors.ts';
import { printable } from '../../lib/plain-text.ts';
import { DatastoreError, type DatastoreErrorCode } from '../errors.ts';
import type { Endpoint } from './endpoint.ts';
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

const REQUEST_TIMEOUT_MS = 15_000;
/** Octets of an answer. A page of a list is some megabytes. */
const MAX_ANSWER = 256 * 1024 * 1024;

/** Sends a request and returns the parsed JSON answer. Throws DatastoreError. */
export async function sendRequest(endpoint: Endpoint, request: ApiRequest): Promise<unknown> {
  const timeout = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
  const signal = request.signal ? AbortSignal.any([request.signal, timeout]) : timeout;
  const response = await open(endpoint, { ...request, signal });
  const text = await readAll(response);
  if ((response.statusCode ?? 500) >= 400) throw errorOf(response.statusCode ?? 500, text);
  if (text === '') return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const message = `${endpoint.url.origin}: the answer is no JSON: ${printable(text, 80)}`;
    throw new DatastoreError('UNAVAILABLE', message, { cause: error });
  }
}

/** Opens a stream (a watch). Throws DatastoreError when it is refused; aborting the signal ends it. */
export async function openStream(endpoint: Endpoint, request: ApiRequest): Promise<IncomingMessage> {
  const response = await open(endpoint, request);
  if ((response.statusCode ?? 500) >= 400) throw errorOf(response.statusCode ?? 500, await readAll(response));
  response.socket.setKeepAlive(true, 15_000);
  return response;
}

async function open(endpoint: Endpoint, request: ApiRequest): Promise<IncomingMessage> {
  const response = await attempt(endpoint, request, false);
  if (response.statusCode !== 401) return response;
  // The token may have been rotated: read it anew, once.
  response.resume();
  return attempt(endpoint, request, true);
}

async function attempt(
  endpoint: Endpoint,
  request: ApiRequest,
  isRefused: boolean,
): Promise<IncomingMessage> {
  let connection: Awaited<ReturnType<Endpoint['connection']>>;
  try {
    connection = await endpoint.connection(isRefused);
  } catch (error) {
    throw new DatastoreError('UNAVAILABLE', `credentials for ${endpoint.url.origin}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const url = new URL(endpoint.url.pathname.replace(/\/$/, '') + request.path, endpoint.url);
  for (const [name, value] of Object.entries(request.query ?? {}))
    if (value !== undefined) url.searchParams.set(name, value);
  const body = request.body === undefined ? undefined : JSON.stringify(request.body);
  const { method, path, query, observe } = request;
  const count = (code: string) => observe?.(requestKind(method, path, query?.['watch'] !== undefined), code);
  let isAnswered = false;
  const { request: send } = url.protocol === 'http:' ? http : https;
  return new Promise((resolve, reject) => {
    const outgoing = send(
      url,
      {
        method: request.method,
        agent: connection.agent,
        headers: {
          accept: 'application/json',
          ...connection.headers,
          ...(body === undefined
            ? {}
            : {
                'content-type': request.contentType ?? 'application/json',
                'content-length': Buffer.byteLength(body),
              }),
        },
        ...(request.signal ? { signal: request.signal } : {}),
      },
      (response) => {
        isAnswered = true;
        count(String(response.statusCode));
        resolve(response);
      },
    );
    outgoing.once('socket', (socket) => socket.setNoDelay(true));
    outgoing.once('error', (error: NodeJS.ErrnoException) => {
      const isStale = error.code === 'ECONNRESET' && outgoing.reusedSocket && request.method === 'GET';
      if (isStale && !request.signal?.aborted)
        return void attempt(endpoint, request, isRefused).then(resolve, reject);
      // A request that was given up by this side is no fault of the server.
      if (!isAnswered && !request.signal?.aborted) count('error');
      reject(
        new DatastoreError('UNAVAILABLE', `${endpoint.url.origin}: ${messageOf(error)}`, { cause: error }),
      );
    });
    outgoing.end(body);
  });
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > MAX_ANSWER) throw new RangeError(`it is longer than ${MAX_ANSWER} octets`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw new DatastoreError('UNAVAILABLE', `the answer was cut off: ${messageOf(error)}`, { cause: error });
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The error for a status code and a body that should be a metav1.Status. */
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
