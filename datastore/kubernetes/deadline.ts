/** An AbortSignal that follows another one and a time, and lets go of both: AbortSignal.any keeps what it made in Node 20. */

export interface Deadline {
  readonly signal: AbortSignal;
  /** The time starts again. */
  restart(): void;
  /** Frees the timer and the listener; the signal does not abort any more. */
  end(): void;
}

/** Aborts with its parent, or after so many milliseconds with an Error of this sentence. `end` must be called. */
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
