/** A clock that only a test advances. Turns are those of the real event loop. */
import type { Time } from '../../lib/time.ts';

export class ManualClock implements Time {
  #now = 0;
  readonly #timers = new Set<{ readonly at: number; readonly run: () => void }>();

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  turn(callback: () => void): void {
    setImmediate(callback);
  }

  random(): number {
    return Math.random();
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { at: this.#now + delayMs, run: callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** When the next timer expires; undefined without timers. */
  get next(): number | undefined {
    const times = [...this.#timers].map(({ at }) => at);
    return times.length > 0 ? Math.min(...times) : undefined;
  }

  /** Advances the clock and runs the timers that expire, in order. */
  advance(milliseconds: number): void {
    const end = this.#now + milliseconds;
    for (;;) {
      const [next] = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (!next) break;
      this.#timers.delete(next);
      this.#now = next.at;
      next.run();
    }
    this.#now = end;
  }
}
