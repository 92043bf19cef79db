/** Which fields of objects a calculation reads. Another value in any other field cannot change its result. */

type Step = string;

/** The fields that were read of one object. */
export class Reads {
  readonly #read = new Set<string>();

  /** Returns a stand-in for the value that records what is read of it. */
  watch<T>(value: T): T {
    return this.#watch(value, []);
  }

  /** Whether a calculation that read these fields of one object may see a difference in the other one. */
  sees(one: unknown, other: unknown): boolean {
    return this.#sees(one, other, []);
  }

  #watch<T>(value: T, at: readonly Step[]): T {
    if (typeof value !== 'object' || value === null) return value;
    const note = (key: string | symbol) => this.#read.add(keyOf([...at, String(key)]));
    const parts = new Map<string | symbol, unknown>();
    const stand = new Proxy(value, {
      get: (target, key): unknown => {
        note(key);
        // The same part each time, because calculations compare by identity too.
        if (!parts.has(key)) parts.set(key, this.#watch(Reflect.get(target, key), [...at, String(key)]));
        return parts.get(key);
      },
      has: (target, key) => {
        note(key);
        return Reflect.has(target, key);
      },
      getOwnPropertyDescriptor: (target, key) => {
        note(key);
        return Reflect.getOwnPropertyDescriptor(target, key);
      },
      ownKeys: (target) => {
        this.#read.add(keyOf([...at, KEYS]));
        return Reflect.ownKeys(target);
      },
    });
    return stand;
  }

  #sees(one: unknown, other: unknown, at: readonly Step[]): boolean {
    if (Object.is(one, other)) return false;
    const isRead = (step: Step) => this.#read.has(keyOf([...at, step]));
    if (!isRecord(one) || !isRecord(other) || Array.isArray(one) !== Array.isArray(other))
      return at.length === 0 || this.#read.has(keyOf(at));
    const keys = new Set([...Object.keys(one), ...Object.keys(other)]);
    if (Array.isArray(one)) keys.add('length');
    return [...keys].some((key) => {
      if (Object.hasOwn(one, key) !== Object.hasOwn(other, key)) return isRead(KEYS) || isRead(key);
      return this.#sees(one[key], other[key], [...at, key]);
    });
  }
}

/** Stands for the list of an object's keys. */
const KEYS = '\0keys';
const keyOf = (path: readonly Step[]) => JSON.stringify(path);

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
