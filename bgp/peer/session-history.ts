/** What happened to the sessions of a peer, for its status and the log. */
import type { Log } from '../../lib/log.ts';
import type { Session } from '../session/session.ts';
import type { PeerStatus } from './config.ts';

export class SessionHistory {
  readonly #log: Log;
  readonly #now: () => number;
  #since: number;
  #lastError: string | undefined;
  #lastNotification: string | undefined;

  /** `now`: epoch milliseconds. */
  constructor(log: Log, now: () => number) {
    this.#log = log;
    this.#now = now;
    this.#since = now();
  }

  /** Returns what the status shows. */
  describe(): Pick<PeerStatus, 'since' | 'lastError' | 'lastNotification'> {
    return { since: this.#since, lastError: this.#lastError, lastNotification: this.#lastNotification };
  }

  transition(from: Session, to: Session, reason: string | undefined): void {
    this.#since = this.#now();
    if (to.state === 'Established') this.#lastError = undefined;
    else if (reason) this.#lastError = reason;
    this.#noteNotification(reason);
    const fields = { from: from.state, to: to.state, ...(reason ? { reason } : {}) };
    if (from.state === 'Established' || to.state === 'Established')
      this.#log.info(fields, 'BGP session state changed');
    else this.#log.debug(fields, 'BGP session state changed');
  }

  /** An incoming connection ended before it was a session, and there is no session. */
  attemptFailed(reason: string): void {
    this.#lastError = reason;
    this.#noteNotification(reason);
  }

  /** No connection is possible. Logs each reason once. */
  obstacle(reason: string): void {
    if (this.#lastError !== reason) this.#log.warn({ reason }, 'no BGP connection to this peer');
    this.#lastError = reason;
  }

  /** The session ended, or stays down, for this reason. */
  ended(reason: string): void {
    this.#lastError = reason;
  }

  #noteNotification(reason: string | undefined): void {
    if (reason?.startsWith('received ')) this.#lastNotification = reason;
  }
}
