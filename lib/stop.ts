/** The end of a process that is asked to end. */
import { messageOf } from './errors.ts';
import type { Log } from './log.ts';

/** Kubernetes waits for 30 s, then it kills. */
const STOP_MS = 10_000;

/** Ends by SIGTERM and SIGINT: exit code 0 after `stop`, 1 when it fails, hangs, or the signal comes a second time. */
export function stopOnSignal(stop: () => Promise<unknown>, log: Log): void {
  let isStopping = false;
  const ask = () => {
    if (isStopping) process.exit(1);
    isStopping = true;
    setTimeout(() => {
      log.error({ seconds: STOP_MS / 1000 }, 'stopping takes too long: ended');
      process.exit(1);
    }, STOP_MS);
    // In a promise, so that what stop throws before its first await is an outcome too.
    Promise.resolve()
      .then(stop)
      .then(
        () => process.exit(0),
        (error: unknown) => {
          log.error({ reason: messageOf(error), err: error }, 'stopped with an error');
          process.exit(1);
        },
      );
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, ask);
}
