/**
 * Detects an object that gets the same change over and over: another program reverts it, or the desired and the observed
 * value never compare equal. Such an object waits longer each time; other objects are not affected.
 */

/** A change of one object. */
export interface ObjectChange {
  /** Kind and identity, such as `route 10.0.0.0/26`. */
  readonly object: string;
  /** The change. Changes with different text are different changes. */
  readonly change: string;
  /** Interfaces that the change depends on. */
  readonly devices?: readonly string[];
}

/** An object that oscillates. */
export interface OscillatingObject {
  readonly object: string;
  /** For people; names the object. */
  readonly sentence: string;
}

interface Entry {
  readonly change: string;
  readonly devices: readonly string[];
  /** Number of times in a row. */
  readonly count: number;
  readonly appliedAt: number;
  readonly notBefore: number;
}

/** A change that is made this many times in a row is reported and delayed. */
const SUSPICIOUS = 3;
const FIRST_DELAY_MS = 1_000;
const MAX_DELAY_MS = 5 * 60_000;
/** A repetition after this time is not an oscillation. It exceeds the longest delay and the resync interval. */
const FORGET_MS = 10 * 60_000;
/** Default number of objects to remember, the most recently changed ones. */
const MAX_ENTRIES = 5_000;
/** Maximum number of objects to name. */
const MAX_NAMED = 20;

export class Oscillation {
  readonly #entries = new Map<string, Entry>();
  readonly #maxEntries: number;
  readonly #maxDelayMs: number;

  constructor({ maxEntries = MAX_ENTRIES, maxDelayMs = MAX_DELAY_MS } = {}) {
    this.#maxEntries = maxEntries;
    this.#maxDelayMs = maxDelayMs;
  }

  /** Whether the change may be made now. `now` is in milliseconds, from the same clock in every call. */
  mayApply({ object, change }: ObjectChange, now: number): boolean {
    const entry = this.#entries.get(object);
    return entry === undefined || entry.change !== change || now >= entry.notBefore;
  }

  /** Records that the change was made. */
  applied({ object, change, devices = [] }: ObjectChange, now: number): void {
    const before = this.#entries.get(object);
    const isAgain = before?.change === change && now - before.appliedAt < FORGET_MS;
    const count = isAgain ? before.count + 1 : 1;
    const delayMs =
      count < SUSPICIOUS
        ? 0
        : Math.min(FIRST_DELAY_MS * 2 ** Math.min(count - SUSPICIOUS, 20), this.#maxDelayMs);
    this.#entries.delete(object);
    this.#entries.set(object, { change, devices, count, appliedAt: now, notBefore: now + delayMs });
    if (this.#entries.size > this.#maxEntries) this.#entries.delete(this.#entries.keys().next().value!);
  }

  /** Forgets changes that depend on an interface which changed itself: their repetition has a known cause. */
  forget(device: string): void {
    for (const [object, { devices }] of this.#entries)
      if (devices.includes(device)) this.#entries.delete(object);
  }

  /** Returns the oscillating objects, at most twenty. `shown` returns what the kernel has instead. */
  problems(
    now: number,
    shown: (object: string) => string | undefined = () => undefined,
  ): OscillatingObject[] {
    const found = this.#oscillating(now);
    const named = found.slice(0, MAX_NAMED).map(([object, { change }]) => {
      const present = shown(object);
      const sentence =
        `${object} is reverted repeatedly: "${change}" does not last` +
        `${present === undefined ? '' : `, the kernel shows "${present}"`}. Look for another program that writes it`;
      return { object, sentence };
    });
    const more = `${found.length - MAX_NAMED} more objects`;
    return found.length > MAX_NAMED
      ? [...named, { object: more, sentence: `and ${more} are reverted repeatedly` }]
      : named;
  }

  /** Number of oscillating objects by kind, the first word of an object. */
  counts(now: number): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const [object] of this.#oscillating(now)) {
      const kind = object.split(' ')[0]!;
      counts[kind] = (counts[kind] ?? 0) + 1;
    }
    return counts;
  }

  /** An oscillation is over when the change was not needed for twice its delay and a minute. */
  #oscillating(now: number): [string, Entry][] {
    return [...this.#entries].filter(
      ([, { count, appliedAt, notBefore }]) =>
        count >= SUSPICIOUS && now < appliedAt + 2 * (notBefore - appliedAt) + 60_000,
    );
  }
}
