/**
 * Faults of our own that come up while a peer is served: each costs the peer's session, and the next attempt waits
 * longer the more there were lately.
 */
const FIRST_MS = 1_000;
const LONGEST_MS = 300_000;
/** A fault counts for this long. */
const MEMORY_MS = 3_600_000;

export class FaultDelay {
  #times: number[] = [];

  /** Notes a fault. Milliseconds until the peer is tried again. */
  next(now: number): number {
    this.#times = [...this.#times.filter((time) => now - time < MEMORY_MS), now].slice(-16);
    return Math.min(LONGEST_MS, FIRST_MS * 2 ** (this.#times.length - 1));
  }
}
