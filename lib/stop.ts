/** Ends the process on request. */
import { messageOf } from './errors.ts';
import type { Log } from './log.ts';

/** Kubernetes kills the process after 30 s. */
const STOP_MS = 10_000;

/** Handles SIGTERM and SIGINT. Exits with 0 after `stop`; with 1 when it fails, hangs, or a second signal arrives. */
export function stopOnSignal(stop: () => Promise<unknown>, log: Log): void {
  let isStopping = false;
  const ask = () => {
    if (isStopping) process.exit(1);
    isStopping = true;
    setTimeout(() => {
      log.error({ seconds: STOP_MS / 1000 }, 'stop timed out: exiting');
      process.exit(1);
    }, STOP_MS);
    // Within a promise, so that a throw before the first await of `stop` is handled too.
    Promise.resolve()
      .then(stop)
      .then(
        () => process.exit(0),
        (error: unknown) => {
          log.error({ reason: messageOf(error), err: error }, 'stop failed');
          process.exit(1);
        },
      );
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, ask);
}
