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
