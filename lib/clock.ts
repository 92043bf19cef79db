/** Time as a dependency, so that the core never calls Date.now or setTimeout. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Runs `callback` once after `delayMs`; the returned function cancels it. */
  after(delayMs: number, callback: () => void): () => void;
}

/** The longest delay of setTimeout, 24.8 days: a longer one fires at once. */
const MAX_STEP_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  after(delayMs, callback) {
    let timer: NodeJS.Timeout;
    const arm = (leftMs: number) => {
      timer =
        leftMs > MAX_STEP_MS
          ? setTimeout(() => arm(leftMs - MAX_STEP_MS), MAX_STEP_MS)
          : setTimeout(callback, leftMs);
    };
    arm(delayMs);
    return () => clearTimeout(timer);
  },
};
