/** Internal faults while serving a peer: each ends its session and delays the next attempt. */

import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { Clock } from '../../lib/time.ts';
import { FaultDelay } from './fault-delay.ts';

export interface InternalFaultsModules {
  readonly clock: Clock;
  readonly log: Log;
  /** Steps that end the session. Each one runs, even if another one throws. */
  readonly end: readonly (() => void)[];
  /** The delay is over. */
  readonly over: () => void;
}

export class InternalFaults {
  readonly #modules: InternalFaultsModules;
  readonly #delay = new FaultDelay();
  #current: { reason: string; cancel: () => void } | undefined;

  constructor(modules: InternalFaultsModules) {
    this.#modules = modules;
  }

  /** Why no attempt is made now; undefined when none is delayed. */
  get reason(): string | undefined {
    return this.#current?.reason;
  }

  /** Ends the session after an exception. Returns the reason for the operator. Never throws. */
  handle(error: unknown): string {
    const { clock, log, end, over } = this.#modules;
    const delayMs = this.#delay.next(clock.now());
    this.#current?.cancel();
    const cancel = clock.after(delayMs, () => {
      this.#current = undefined;
      over();
    });
    const reason = `internal fault: ${messageOf(error)}; next attempt in ${delayMs / 1000} s`;
    this.#current = { reason, cancel };
    log.error({ err: error, reason }, 'fault while serving a BGP peer');
    for (const step of end) {
      try {
        step();
      } catch (another) {
        log.error({ err: another }, 'fault while ending the session of a BGP peer');
      }
    }
    return reason;
  }

  /** Makes no further attempt. */
  cancel(): void {
    this.#current?.cancel();
  }
}
