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
  /** It is over; called once. */
  readonly over: () => void;
}

export class Deferral {
  readonly #options: DeferralOptions;
  readonly #modules: DeferralModules;
  readonly #awaited = new Set<string>();
  #timers: (() => void)[] = [];
  #isOver = false;

  constructor(options: DeferralOptions, modules: DeferralModules) {
    this.#options = options;
    this.#modules = modules;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Waits for these peers from now on. */
  start(keys: Iterable<string>): void {
    const { clock } = this.#modules;
    for (const key of keys) this.#awaited.add(key);
    this.#timers = [
      clock.after(this.#options.unreachableSeconds * 1000, () => this.#giveUpOnSilent()),
      clock.after(this.#options.deferralSeconds * 1000, () => this.#end()),
    ];
    if (this.#awaited.size === 0) this.#end();
  }

  /** The peer has said everything, or never will. */
  settle(key: string): void {
    if (this.#awaited.delete(key) && this.#awaited.size === 0) this.#end();
  }

  close(): void {
    for (const cancel of this.#timers) cancel();
  }

  #giveUpOnSilent(): void {
    for (const key of [...this.#awaited]) {
      if (this.#modules.hasSession(key)) continue;
      this.#modules.log.info({ peer: key }, 'not waiting any longer for a peer that does not answer');
      this.settle(key);
    }
  }

  #end(): void {
    this.#awaited.clear();
    if (this.#isOver) return;
    this.#isOver = true;
    this.#modules.over();
  }
}
