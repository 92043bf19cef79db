/** Runs tasks one after the other in the order they were asked for; a failed task does not stop the next. */
export class Mutex {
  #tail: Promise<unknown> = Promise.resolve();

  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(task, task);
    this.#tail = result.catch(() => undefined);
    return result;
  }
}

/** A mutex per key. Bounded by the keys in use: an idle key is forgotten. */
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
