/**
 * Detects whether this machine still carries packets, with a datagram to itself over loopback. The datagram waits in
 * the same kernel queues as packets between namespaces. Without a free CPU, packets sent before it arrives may be
 * dropped there; such losses do not indicate a routing fault.
 */
import dgram from 'node:dgram';

/** After this time, the datagram itself counts as dropped. */
const LOST_MS = 1000;

export class Canary {
  readonly #socket = dgram.createSocket('udp4');
  #port: number | undefined;
  #sentAt: number | undefined;

  constructor() {
    this.#socket.on('error', () => undefined);
    this.#socket.on('message', () => {
      this.#sentAt = undefined;
    });
    this.#socket.bind(0, '127.0.0.1', () => {
      this.#port = this.#socket.address().port;
    });
    this.#socket.unref();
  }

  /** Whether the last datagram has arrived or counts as dropped. */
  isBack(now: number): boolean {
    return this.#sentAt === undefined || now - this.#sentAt > LOST_MS;
  }

  send(now: number): void {
    if (this.#port === undefined) return;
    this.#sentAt = now;
    this.#socket.send('canary', this.#port, '127.0.0.1', () => undefined);
  }

  close(): void {
    this.#socket.close();
  }
}
