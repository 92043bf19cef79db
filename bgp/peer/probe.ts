/**
 * Checks whether the peer of an Established session still answers. The caller sends a KEEPALIVE on the session's
 * connection. A live peer acknowledges it. The kernel of a restarted peer answers with RST, which ends the connection.
 */
import type { Evidence } from '../session/takeover.ts';
import type { TcpInfo } from '../transport/tcp-info.ts';

export interface ProbedConnection {
  readonly tcpInfo: TcpInfo | undefined;
  readonly bytesRead: number;
}

/**
 * A peer that acknowledges nothing for this long, over at least two retransmissions, counts as dead. It may have lost
 * power, with its address now on another machine. Linux retransmits 0.2, 0.6, 1.4 and 3 s after the first segment on a
 * fast path. A restarted speaker waits 10 s for its peers, well above this, so graceful restart loses nothing.
 */
export const SILENT_MS = 3_000;
const MIN_RETRANSMISSIONS = 2;
/** The kernel's times are multiples of a tick, at most 10 ms. */
const TICK_MS = 20;

export class Probe {
  readonly #connection: ProbedConnection;
  readonly #now: () => number;
  readonly #startedAt: number;
  readonly #received: bigint | undefined;
  readonly #bytesRead: number;

  /** Create it before the KEEPALIVE is sent. `now`: milliseconds. */
  constructor(connection: ProbedConnection, now: () => number) {
    this.#connection = connection;
    this.#now = now;
    this.#startedAt = now();
    this.#received = connection.tcpInfo?.received;
    this.#bytesRead = connection.bytesRead;
  }

  /** Milliseconds since the probe began. */
  get age(): number {
    return this.#now() - this.#startedAt;
  }

  get evidence(): Evidence {
    const { tcpInfo: info, bytesRead } = this.#connection;
    // Without TCP_INFO, only a message proves that the peer is alive, and only RST that it is not.
    if (!info || this.#received === undefined) return bytesRead > this.#bytesRead ? 'answered' : 'none';
    const { age } = this;
    const isDelivered = info.unacknowledged === 0 && info.unsent === 0;
    if (isDelivered || info.received > this.#received || info.sinceAckMs + TICK_MS < age) return 'answered';
    const isSilent = age >= SILENT_MS && info.sinceAckMs >= SILENT_MS;
    return isSilent && info.retransmits >= MIN_RETRANSMISSIONS ? 'silent' : 'none';
  }
}
