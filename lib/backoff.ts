/** Exponential backoff with jitter on the upper half, so that retries neither synchronise nor drop to zero. */
export class Backoff {
  #attempt = 0;
  readonly #options: { readonly firstMs: number; readonly maxMs: number };
  readonly #random: () => number;

  /** `random` returns a number from 0 (inclusive) to 1 (exclusive). */
  constructor(options: { firstMs: number; maxMs: number }, random: () => number) {
    this.#options = options;
    this.#random = random;
  }

  /** Delay before the next attempt, milliseconds. */
  next(): number {
    const ceiling = Math.min(this.#options.maxMs, this.#options.firstMs * 2 ** this.#attempt);
    this.#attempt = Math.min(this.#attempt + 1, 30);
    return ceiling / 2 + (this.#random() * ceiling) / 2;
  }

  /** Resets the delay to the first one. Call it after a success. */
  reset(): void {
    this.#attempt = 0;
  }
}
