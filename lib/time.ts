/** Time and chance as a dependency, so that a simulation can replace them. The most complete form of Clock. */
import { type Clock, systemClock } from './clock.ts';

export interface Time extends Clock {
  /** Milliseconds since an arbitrary start; never goes back. */
  monotonic(): number;
  /** Runs `callback` at the end of this turn of the event loop, after the input that has arrived. */
  turn(callback: () => void): void;
  /** A number from 0 (inclusive) to 1 (exclusive). */
  random(): number;
}

export const systemTime: Time = {
  now: systemClock.now,
  after: systemClock.after,
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
