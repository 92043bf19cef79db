/**
 * The wait after a start (RFC 4724 section 4.1). Learned routes are complete when each peer has finished its initial
 * update or does not answer, or when the time is over.
 */

import type { Log } from '../../lib/log.ts';
import type { Clock } from '../../lib/time.ts';
import type { State } from '../session/session.ts';

export interface DeferralOptions {
  /** Maximum wait for peers after a start, seconds. */
  readonly deferralSeconds: number;
  /** Wait for a peer that does not answer, seconds. */
  readonly unreachableSeconds: number;
}

export interface DeferralModules {
  readonly clock: Clock;
  readonly log: Log;
  /** State of the session, or of the connection that this speaker dialled; undefined for an unknown peer. */
  readonly stateOf: (key: string) => State | undefined;
  /** Address of a peer, for the log; undefined for an unknown peer. */
  readonly addressOf: (key: string) => string | undefined;
  /** The wait for peers that do not answer is over. */
  readonly gaveUp: () => void;
  /** The whole wait is over. Called once. */
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

  /** Keys of peers that have not finished their initial update. */
  get awaited(): Iterable<string> {
    return this.#awaited;
  }

  /** Whether dynamic peers may still connect. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /**
   * Starts the wait for these peers. `isOpen`: dynamic peers may connect too, within the time that known peers have to
   * answer. Each of them is waited for once its session is up.
   */
  start(keys: Iterable<string>, isOpen = false): void {
    const { clock } = this.#modules;
    for (const key of keys) this.#awaited.add(key);
    this.#isOpen = isOpen;
    this.#lookLater();
    this.#cancelEnd = clock.after(this.#options.deferralSeconds * 1000, () => this.#end());
    this.#endIfComplete();
  }

  /** Waits for a dynamic peer too. */
  expect(key: string): void {
    if (!this.#isOver) this.#awaited.add(key);
  }

  /** The peer finished its initial update or never will: stop waiting for it. */
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
   * Stops waiting for peers that do not answer. A peer whose kernel accepted a connection is alive, but its process may
   * be slow to send an OPEN. It gets the same time again.
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
      const peer = this.#modules.addressOf(key);
      this.#modules.log.info({ peer }, 'no longer waiting for a peer that does not respond');
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
