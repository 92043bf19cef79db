/**
 * Time and chance as a dependency, so that a simulation can replace them. `npm run check` rejects timers, the time of
 * day and Math.random elsewhere (scripts/time-rules.mjs).
 */

/** The part of Time that most code needs. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Runs `callback` once after `delayMs`; the returned function cancels it. */
  after(delayMs: number, callback: () => void): () => void;
}

export interface Time extends Clock {
  /** Milliseconds since an arbitrary start; never goes back. */
  monotonic(): number;
  /** Runs `callback` at the end of this turn of the event loop, after the input that has arrived. */
  turn(callback: () => void): void;
  /** A number from 0 (inclusive) to 1 (exclusive). */
  random(): number;
}

/** The longest delay of setTimeout, 24.8 days: a longer one fires at once. */
const MAX_STEP_MS = 2 ** 31 - 1;

export const systemTime: Time = {
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
  monotonic: () => performance.now(),
  turn: (callback) => void setImmediate(callback),
  random: Math.random,
};

/** Returns the same time, with `run` called for each timer's callback, such as to catch what it throws. */
export function withTimers(time: Time, run: (callback: () => void) => void): Time {
  return {
    now: () => time.now(),
    monotonic: () => time.monotonic(),
    turn: (callback) => time.turn(callback),
    random: () => time.random(),
    after: (delayMs, callback) => time.after(delayMs, () => run(callback)),
  };
}

/** Resolves after `ms`, or when the signal aborts. */
export function delay(clock: Pick<Clock, 'after'>, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.after(ms, done);
    signal?.addEventListener('abort', done, { once: true });
  });
}
