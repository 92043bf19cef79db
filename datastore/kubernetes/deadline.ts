/** An AbortSignal with a parent and a timeout that releases both. In Node 20, AbortSignal.any keeps its signals. */

export interface Deadline {
  readonly signal: AbortSignal;
  /** Restarts the timeout. */
  restart(): void;
  /** Releases the timer and the listener. The signal no longer aborts. */
  end(): void;
}

/** Aborts with its parent, or after `ms` milliseconds with an Error of this sentence. Callers must call `end`. */
export function deadline(ms: number, sentence: string, parent?: AbortSignal): Deadline {
  const controller = new AbortController();
  const follow = () => controller.abort(parent?.reason);
  const expire = () => controller.abort(new Error(sentence));
  let timer = setTimeout(expire, ms);
  if (parent?.aborted) follow();
  else parent?.addEventListener('abort', follow, { once: true });
  const end = () => {
    clearTimeout(timer);
    parent?.removeEventListener('abort', follow);
  };
  controller.signal.addEventListener('abort', end, { once: true });
  return {
    signal: controller.signal,
    restart: () => {
      clearTimeout(timer);
      if (!controller.signal.aborted) timer = setTimeout(expire, ms);
    },
    end,
  };
}
