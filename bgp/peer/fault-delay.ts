/**
 * Internal faults while serving a peer. Each one ends the peer's session. Each further one within MEMORY_MS doubles the
 * delay of the next attempt.
 */
const FIRST_MS = 1_000;
const LONGEST_MS = 300_000;
/** A fault counts for this long, milliseconds. */
const MEMORY_MS = 3_600_000;

export class FaultDelay {
  #times: number[] = [];

  /** Records a fault. Returns the milliseconds until the next attempt. */
  next(now: number): number {
    this.#times = [...this.#times.filter((time) => now - time < MEMORY_MS), now].slice(-16);
    return Math.min(LONGEST_MS, FIRST_MS * 2 ** (this.#times.length - 1));
  }
}
