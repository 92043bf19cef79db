/**
 * One HTTP/2 connection (RFC 9113) to the API server for all requests and watches of this program. When the server, or
 * a proxy in front of it, does not select h2 in the TLS handshake (RFC 7301), the caller uses HTTP/1.1.
 *
 * A dead connection would stop everything. So while streams are open, the multiplexer sends a PING every 15 s. Without
 * an answer within 10 s it closes the connection, and all watches restart on a new one.
 */
import http2, { type ClientHttp2Session, type ClientHttp2Stream, type OutgoingHttpHeaders } from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';
import { trackSocket } from './open-sockets.ts';

const CONNECT_MS = 10_000;
const PING_MS = 15_000;
const PING_ANSWER_MS = 10_000;
/** Octets in flight per stream and on the connection. A slow reader of one watch must not block the others. */
const STREAM_WINDOW = 1024 * 1024;
const CONNECTION_WINDOW = 32 * 1024 * 1024;

/** Times in milliseconds; tests shorten them. */
export interface Patience {
  readonly pingMs: number;
  readonly answerMs: number;
}

export class Multiplexer {
  readonly #url: URL;
  readonly #options: tls.ConnectionOptions;
  readonly #patience: Patience;
  #session: Promise<ClientHttp2Session | undefined> | undefined;
  /** The server does not support HTTP/2. */
  #isRefused = false;
  #isRetired = false;

  constructor(
    url: URL,
    options: tls.ConnectionOptions,
    patience: Patience = { pingMs: PING_MS, answerMs: PING_ANSWER_MS },
  ) {
    this.#url = url;
    this.#options = options;
    this.#patience = patience;
  }

  /**
   * Opens a stream for one request; undefined when the server does not support HTTP/2. Rejects when the server is
   * unreachable. The signal ends only the stream.
   */
  async open(
    headers: OutgoingHttpHeaders,
    signal: AbortSignal | undefined,
  ): Promise<ClientHttp2Stream | undefined> {
    if (this.#isRefused) return undefined;
    let session = await this.#connected();
    // The event `close` follows some time after the end.
    if (session && (session.destroyed || session.closed)) {
      this.#session = undefined;
      session = await this.#connected();
    }
    if (!session) return undefined;
    if (signal?.aborted) throw signal.reason;
    const stream = session.request(headers, { endStream: false, ...(signal ? { signal } : {}) });
    this.#hold(session, stream);
    return stream;
  }

  /** Closes the connection after its last stream, because its credentials are no longer valid. */
  retire(): void {
    this.#isRetired = true;
    const session = this.#session;
    this.#session = undefined;
    void session?.then(
      (open) => open?.close(),
      () => undefined,
    );
  }

  #connected(): Promise<ClientHttp2Session | undefined> {
    if (this.#session) return this.#session;
    const session = this.#connect();
    this.#session = session;
    const forget = () => {
      if (this.#session === session) this.#session = undefined;
    };
    session.then((open) => {
      // After GOAWAY its streams continue, but new ones need another connection.
      open?.once('goaway', forget);
      open?.once('close', forget);
      if (!open) this.#isRefused = true;
      if (this.#isRetired) open?.close();
    }, forget);
    return session;
  }

  async #connect(): Promise<ClientHttp2Session | undefined> {
    const socket = await secureSocket(this.#url, this.#options);
    if (socket.alpnProtocol !== 'h2') {
      socket.destroy();
      return undefined;
    }
    const session = http2.connect(this.#url, {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: STREAM_WINDOW },
    });
    // Each stream and `close` report the error.
    session.on('error', () => undefined);
    await new Promise<void>((resolve, reject) => {
      session.once('connect', () => resolve());
      session.once('close', () => reject(new Error('the server closed the connection immediately')));
    });
    session.setLocalWindowSize(CONNECTION_WINDOW);
    // An idle connection does not keep the program running.
    session.unref();
    return session;
  }

  /** Probes the connection and keeps the program running while a stream is open. */
  #hold(session: ClientHttp2Session, stream: ClientHttp2Stream): void {
    const open = (streams.get(session) ?? 0) + 1;
    streams.set(session, open);
    if (open === 1) {
      session.ref();
      this.#probe(session);
    }
    stream.once('close', () => {
      const left = streams.get(session)! - 1;
      streams.set(session, left);
      if (left === 0 && !session.destroyed) session.unref();
    });
  }

  /** Sends PINGs until the last stream has ended. */
  #probe(session: ClientHttp2Session): void {
    const { pingMs, answerMs } = this.#patience;
    if (probed.has(session)) return;
    probed.add(session);
    const timer = setInterval(() => {
      if (session.destroyed || streams.get(session) === 0) {
        clearInterval(timer);
        probed.delete(session);
        return;
      }
      let isAnswered = false;
      const late = setTimeout(() => {
        // If this process was suspended, the answer may have arrived but is not read yet.
        setImmediate(() => {
          if (!isAnswered) session.destroy(new Error(`no answer to a PING for ${answerMs / 1000} s`));
        });
      }, answerMs);
      session.ping(() => {
        isAnswered = true;
        clearTimeout(late);
      });
    }, pingMs);
    timer.unref();
  }
}

/** Open streams of each connection. */
const streams = new WeakMap<ClientHttp2Session, number>();
/** Connections with a timer for PINGs. */
const probed = new WeakSet<ClientHttp2Session>();

/** Opens a TLS connection and offers h2 in the handshake. Rejects with the reason. */
function secureSocket(url: URL, options: tls.ConnectionOptions): Promise<tls.TLSSocket> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return new Promise((resolve, reject) => {
    const socket = tls.connect({
      host,
      port: Number(url.port || 443),
      // SNI, by which the server selects its certificate, must not be an address (RFC 6066 section 3).
      ...(net.isIP(host) ? {} : { servername: host }),
      ...options,
      ALPNProtocols: ['h2', 'http/1.1'],
    });
    trackSocket(socket);
    const timer = setTimeout(
      () => socket.destroy(new Error(`no connection within ${CONNECT_MS / 1000} s`)),
      CONNECT_MS,
    );
    const failed = (error: Error) => {
      clearTimeout(timer);
      reject(error);
    };
    socket.once('error', failed);
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      socket.off('error', failed);
      socket.setNoDelay(true);
      socket.setKeepAlive(true, 15_000);
      resolve(socket);
    });
  });
}
