/** The part that flushes tracked connections whose path or source changed. */
import type { Connections, KernelState } from '../../kernel/port.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';

export class TrackedConnections {
  readonly #connections: Connections;
  readonly #log: Log;
  /** Usable IPv6 addresses at the last observation, with prefix lengths. */
  #usable: ReadonlySet<string> | undefined;

  constructor(connections: Connections, log: Log) {
    this.#connections = connections;
    this.#log = log;
  }

  /** Flushes the connections of addresses that were removed or moved. */
  flush(addresses: readonly string[]): void {
    if (addresses.length > 0) this.#connections.flush(addresses);
  }

  /** After a new IPv6 address, flushes connections that began without one, so that they use the new address. */
  follow({ addresses }: KernelState): void {
    const before = this.#usable;
    const usable = addresses.filter(({ cidr, isTentative }) => cidr.includes(':') && !isTentative);
    const now = usable.map(({ cidr }) => cidr);
    this.#usable = new Set(now);
    if (!before || now.every((cidr) => before.has(cidr))) return;
    void this.#connections
      .flushLinkLocal()
      .catch((error: unknown) =>
        this.#log.warn({ reason: messageOf(error) }, 'connections from before the new address not flushed'),
      );
  }

  close(): void {
    this.#connections.close();
  }
}
