/** Runs at most a number of tasks at a time; others wait in order. A failed task does not stop the next. */
export class Slots {
  #free: number;
  /** Bounded by the callers, who wait. */
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      // A waiting task takes over the slot.
      if (next) next();
      else this.#free++;
    }
  }
}
