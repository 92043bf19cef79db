/**
 * The wait after a start (RFC 4724 section 4.1): until every peer has ended its initial update, or does not answer,
 * or the time is over, learned routes are not complete.
 */
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { State } from './session/session.ts';

export interface DeferralOptions {
  /** Longest wait for peers after a start, seconds. */
  readonly deferralSeconds: number;
  /** Wait for a peer that does not answer, seconds. */
  readonly unreachableSeconds: number;
}

export interface DeferralModules {
  readonly clock: Clock;
  readonly log: Log;
  /** State of the connection that this speaker dialled, or of the session; undefined for an unknown peer. */
  readonly stateOf: (key: string) => State | undefined;
  /** Peers that do not answer are not waited for any longer. */
  readonly gaveUp: () => void;
  /** It is over; called once. */
  readonly over: () => void;
}

export class Deferral {
  readonly #options: DeferralOptions;
  readonly #modules: DeferralModules;
  readonly #awaited = new Set<string>();
  #isOpen = false;
  #cancelLook = () => {};
  #cancelEnd = () => {};
  #isOver = false;

  constructor(options: DeferralOptions, modules: DeferralModules) {
    this.#options = options;
    this.#modules = modules;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Peers that have not told everything yet. */
  get awaited(): Iterable<string> {
    return this.#awaited;
  }

  /** Whether peers may still come that nobody can name. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /**
   * Waits for these peers from now on. `isOpen`: others may come by themselves, as soon as those that answer, and are
   * waited for once they are there.
   */
  start(keys: Iterable<string>, isOpen = false): void {
    const { clock } = this.#modules;
    for (const key of keys) this.#awaited.add(key);
    this.#isOpen = isOpen;
    this.#lookLater();
    this.#cancelEnd = clock.after(this.#options.deferralSeconds * 1000, () => this.#end());
    this.#endIfComplete();
  }

  /** Waits for one more peer, which came by itself. */
  expect(key: string): void {
    if (!this.#isOver) this.#awaited.add(key);
  }

  /** The peer has said everything, or never will. */
  settle(key: string): void {
    if (this.#awaited.delete(key)) this.#endIfComplete();
  }

  close(): void {
    this.#cancelLook();
    this.#cancelEnd();
  }

  #endIfComplete(): void {
    if (this.#awaited.size === 0 && !this.#isOpen) this.#end();
  }

  #lookLater(): void {
    const { unreachableSeconds } = this.#options;
    this.#cancelLook = this.#modules.clock.after(unreachableSeconds * 1000, () => this.#giveUpOnSilent());
  }

  /**
   * Stops waiting for peers that do not answer. A peer whose kernel accepted a connection is alive, and its process may be
   * slow to send its OPEN: it gets the same time again.
   */
  #giveUpOnSilent(): void {
    this.#isOpen = false;
    let isOpening = false;
    for (const key of [...this.#awaited]) {
      const state = this.#modules.stateOf(key);
      if (state === 'Established') continue;
      if (state === 'OpenSent' || state === 'OpenConfirm') {
        isOpening = true;
        continue;
      }
      this.#modules.log.info({ peer: key }, 'not waiting any longer for a peer that does not answer');
      this.#awaited.delete(key);
    }
    if (isOpening) this.#lookLater();
    this.#endIfComplete();
    this.#modules.gaveUp();
  }

  #end(): void {
    this.#awaited.clear();
    this.#isOpen = false;
    this.#cancelLook();
    if (this.#isOver) return;
    this.#isOver = true;
    this.#modules.over();
  }
}
