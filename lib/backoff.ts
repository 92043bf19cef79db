/** Exponential backoff with full jitter on the upper half, so that retries never synchronise nor hit zero. */
export class Backoff {
  #attempt = 0;
  readonly #options: { readonly firstMs: number; readonly maxMs: number };
  readonly #random: () => number;

  constructor(options: { firstMs: number; maxMs: number }, random: () => number = Math.random) {
    this.#options = options;
    this.#random = random;
  }

  /** Delay before the next attempt, milliseconds. */
  next(): number {
    const ceiling = Math.min(this.#options.maxMs, this.#options.firstMs * 2 ** this.#attempt);
    this.#attempt = Math.min(this.#attempt + 1, 30);
    return ceiling / 2 + (this.#random() * ceiling) / 2;
  }

  /** Call after a success: the next delay is the first one again. */
  reset(): void {
    this.#attempt = 0;
  }
}
