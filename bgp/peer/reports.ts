/** Reports one peer's sessions and messages to the observers. They hear of the end of each session once. */
import type { SessionEnd } from '../session/session.ts';
import type { ObserverOf } from './peer-modules.ts';

/** RFC 4271 section 8.1.2, event 8. */
const AUTOMATIC_STOP = 8;

interface Counters {
  messagesReceived: number;
  messagesSent: number;
}

export class Reports<P extends { readonly counters: Counters }> {
  readonly #peer: P;
  readonly #observer: ObserverOf<P>;
  #isUp = false;

  constructor(peer: P, observer: ObserverOf<P>) {
    this.#peer = peer;
    this.#observer = observer;
  }

  up(): void {
    this.#isUp = true;
    this.#observer.up(this.#peer);
  }

  down(end: SessionEnd): void {
    if (this.#isUp) this.#observer.down(this.#peer, end);
    this.#isUp = false;
  }

  /** Reports the end of a session that an internal fault closed, unless its orderly end did. */
  faulted(): void {
    this.down({ how: 'closed', fsmEvent: AUTOMATIC_STOP });
  }

  /** Counts and reports a message of the state machine. */
  traffic(direction: 'received' | 'sent', message: Uint8Array): void {
    if (direction === 'received') this.#peer.counters.messagesReceived++;
    else this.#peer.counters.messagesSent++;
    this.#observer.message(this.#peer, direction, message);
  }

  /** Reports UPDATEs that a group counted. */
  sent(messages: Uint8Array): void {
    this.#observer.message(this.#peer, 'sent', messages);
  }
}
