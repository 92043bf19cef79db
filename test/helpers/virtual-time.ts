/**
 * Time of a simulation. Nothing happens without a call: `step` runs the next callback, first those of this turn, then the
 * earliest timer. The same seed gives the same run.
 */
import type { Time } from '../../lib/time.ts';

interface Timer {
  readonly at: number;
  readonly run: () => void;
  isCancelled: boolean;
}

export class VirtualTime implements Time {
  #now = 0;
  #turns: (() => void)[] = [];
  /** The latest first; of the same time, the last added first. */
  readonly #timers: Timer[] = [];
  #state: number;
  /** Callbacks that ran. */
  steps = 0;

  constructor(seed = 1) {
    this.#state = seed >>> 0;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  turn(callback: () => void): void {
    this.#turns.push(callback);
  }

  /** Mulberry32. */
  random(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer from 0 (inclusive) to `limit` (exclusive). */
  below(limit: number): number {
    return Math.floor(this.random() * limit);
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, delayMs), run, isCancelled: false };
    let low = 0;
    let high = this.#timers.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#timers[middle]!.at > timer.at) low = middle + 1;
      else high = middle;
    }
    this.#timers.splice(low, 0, timer);
    return () => {
      timer.isCancelled = true;
    };
  }

  /** Runs all callbacks of the next `milliseconds`. */
  advance(milliseconds: number): void {
    const end = this.#now + milliseconds;
    while (this.#step(end));
    this.#now = Math.max(this.#now, end);
  }

  /**
   * As `advance`, for code with promises: after each callback, everything that waits for no timer runs. It must not wait
   * for files or sockets.
   */
  async run(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    do await quiet();
    while (this.#step(end));
    this.#now = Math.max(this.#now, end);
  }

  /** Lets time pass within a callback, as if it took this long. */
  pass(milliseconds: number): void {
    this.#now += milliseconds;
  }

  #step(end: number): boolean {
    const turns = this.#turns;
    if (turns.length > 0) {
      this.#turns = [];
      for (const run of turns) run();
      this.steps += turns.length;
      return true;
    }
    const next = this.#timers.at(-1);
    if (!next || next.at > end) return false;
    this.#timers.pop();
    if (next.isCancelled) return true;
    this.#now = Math.max(this.#now, next.at);
    next.run();
    this.steps++;
    return true;
  }
}

/** Resolves when all promises that can be resolved are. */
function quiet(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
