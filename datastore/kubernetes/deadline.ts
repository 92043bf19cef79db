/** An AbortSignal with a parent and a timeout that releases both. In Node 20, AbortSignal.any keeps its signals. */
import type { Clock } from '../../lib/time.ts';

export interface Deadline {
  readonly signal: AbortSignal;
  /** Restarts the timeout, unless the deadline is over. */
  restart(): void;
  /** Releases the timer and the listener. The signal no longer aborts. */
  end(): void;
}

/** Aborts with its parent, or after `ms` milliseconds with an Error of this sentence. Callers must call `end`. */
export function deadline(
  clock: Pick<Clock, 'after'>,
  ms: number,
  sentence: string,
  parent?: AbortSignal,
): Deadline {
  const controller = new AbortController();
  const follow = () => controller.abort(parent?.reason);
  const expire = () => controller.abort(new Error(sentence));
  let cancel = clock.after(ms, expire);
  let isOver = false;
  if (parent?.aborted) follow();
  else parent?.addEventListener('abort', follow, { once: true });
  const end = () => {
    isOver = true;
    cancel();
    parent?.removeEventListener('abort', follow);
  };
  controller.signal.addEventListener('abort', end, { once: true });
  return {
    signal: controller.signal,
    restart: () => {
      cancel();
      if (!isOver && !controller.signal.aborted) cancel = clock.after(ms, expire);
    },
    end,
  };
}
