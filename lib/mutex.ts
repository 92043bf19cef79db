/** Runs tasks one at a time, in order. A failed task does not stop the next. */
export class Mutex {
  #tail: Promise<unknown> = Promise.resolve();

  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(task, task);
    this.#tail = result.catch(() => undefined);
    return result;
  }
}

/** A mutex per key. It forgets idle keys, so its size is bounded by the keys in use. */
export class KeyedMutex {
  readonly #queues = new Map<string, { mutex: Mutex; users: number }>();

  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    let queue = this.#queues.get(key);
    if (!queue) {
      queue = { mutex: new Mutex(), users: 0 };
      this.#queues.set(key, queue);
    }
    queue.users++;
    try {
      return await queue.mutex.run(task);
    } finally {
      if (--queue.users === 0) this.#queues.delete(key);
    }
  }
}
