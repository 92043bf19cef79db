/** Limits warnings that others can cause as often as they like, such as a peer with its messages. */

import type { Log } from './log.ts';
import type { Clock } from './time.ts';

/** Minimum time between two lines of a kind. */
export const LOG_INTERVAL_MS = 10_000;

interface Window {
  /** Occurrences since the last line. */
  repeats: number;
  fields: object;
}

export class LogLimiter {
  readonly #clock: Clock;
  readonly #log: Log;
  /** Kinds that were logged within the last interval. Bounded, because the code names the kinds. */
  readonly #windows = new Map<string, Window>();

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * Logs the first warning of a kind at once. Later ones make one line per interval, with the fields of the last one
   * and their number in `repeats`.
   */
  warn(kind: string, fields: object, message: string): void {
    const window = this.#windows.get(kind);
    if (window) {
      window.repeats++;
      window.fields = fields;
      return;
    }
    this.#log.warn(fields, message);
    this.#open(kind, { repeats: 0, fields }, message);
  }

  #open(kind: string, window: Window, message: string): void {
    this.#windows.set(kind, window);
    this.#clock.after(LOG_INTERVAL_MS, () => {
      this.#windows.delete(kind);
      const { repeats, fields } = window;
      if (repeats === 0) return;
      this.#log.warn({ ...fields, repeats, seconds: LOG_INTERVAL_MS / 1000 }, message);
      this.#open(kind, { repeats: 0, fields }, message);
    });
  }
}
