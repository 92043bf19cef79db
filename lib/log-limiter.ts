/** Limits warnings that a remote party can trigger at will, such as a BGP peer with malformed messages. */

import type { Log } from './log.ts';
import type { Clock } from './time.ts';

/** Minimum time between two lines of the same kind. */
export const LOG_INTERVAL_MS = 10_000;

interface Window {
  /** Occurrences since the last line. */
  repeats: number;
  fields: object;
}

export class LogLimiter {
  readonly #clock: Clock;
  readonly #log: Log;
  /** Kinds that were logged within the last interval. Callers use a fixed set of kinds, so the map is bounded. */
  readonly #windows = new Map<string, Window>();

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * Logs the first warning of a kind at once. Those that follow share one line per interval: it has the fields of the
   * last one, and counts them in `repeats`.
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
