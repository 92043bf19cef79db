/**
 * The wait after a start (RFC 4724 section 4.1): until every peer has ended its initial update, or does not answer,
 * or the time is over, learned routes are not complete.
 */
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';

export interface DeferralOptions {
  /** Longest wait for peers after a start, seconds. */
  readonly deferralSeconds: number;
  /** Wait for a peer that has not answered since the start, seconds. */
  readonly unreachableSeconds: number;
}

export interface DeferralModules {
  readonly clock: Clock;
  readonly log: Log;
  /** Whether a session with the peer is up. */
  readonly hasSession: (key: string) => boolean;
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
  #timers: (() => void)[] = [];
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
    this.#timers = [
      clock.after(this.#options.unreachableSeconds * 1000, () => this.#giveUpOnSilent()),
      clock.after(this.#options.deferralSeconds * 1000, () => this.#end()),
    ];
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
    for (const cancel of this.#timers) cancel();
  }

  #endIfComplete(): void {
    if (this.#awaited.size === 0 && !this.#isOpen) this.#end();
  }

  #giveUpOnSilent(): void {
    this.#isOpen = false;
    for (const key of [...this.#awaited]) {
      if (this.#modules.hasSession(key)) continue;
      this.#modules.log.info({ peer: key }, 'not waiting any longer for a peer that does not answer');
      this.#awaited.delete(key);
    }
    this.#endIfComplete();
    this.#modules.gaveUp();
  }

  #end(): void {
    this.#awaited.clear();
    this.#isOpen = false;
    if (this.#isOver) return;
    this.#isOver = true;
    this.#modules.over();
  }
}
