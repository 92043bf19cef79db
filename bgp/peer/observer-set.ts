/** The observers of a speaker. One that throws is removed, so that it does not affect sessions. */
import type { Log } from '../../lib/log.ts';
import type { SessionEnd } from '../session/session.ts';
import type { Observer, Peer } from './peer.ts';

export class ObserverSet implements Observer {
  readonly #observers = new Set<Observer>();
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Adds an observer. Returns a function that removes it. */
  add(observer: Observer): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  message(peer: Peer, direction: 'received' | 'sent', bytes: Uint8Array): void {
    // Called for each message, nearly always without observers.
    if (this.#observers.size > 0) this.#call((observer) => observer.message(peer, direction, bytes));
  }

  up(peer: Peer): void {
    this.#call((observer) => observer.up(peer));
  }

  down(peer: Peer, end: SessionEnd): void {
    this.#call((observer) => observer.down(peer, end));
  }

  #call(call: (observer: Observer) => void): void {
    for (const observer of this.#observers) {
      try {
        call(observer);
      } catch (error) {
        this.#observers.delete(observer);
        this.#log.error({ err: error }, 'BGP observer failed and was disabled');
      }
    }
  }
}
