/**
 * Whether this machine still carries packets: a datagram to itself over loopback. It waits in the same queues of the kernel
 * as every packet between namespaces. While it is on its way, packets that are sent in addition are dropped there, on a
 * machine without a free processor, and say nothing about routes.
 */
import dgram from 'node:dgram';

/** After this long it has been dropped itself. */
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

  /** Whether the last one is back. */
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
