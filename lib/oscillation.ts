/**
 * Notices that the same change of the same object is made again and again: another program undoes it, or what is wanted
 * and what is read back are never equal. Such an object waits longer and longer; everything else goes on.
 */

/** What is about to be done to one object. */
export interface ObjectChange {
  /** Kind and identity, such as `route 10.0.0.0/26`. */
  readonly object: string;
  /** What is done; another text is another change. */
  readonly change: string;
}

interface Entry {
  readonly change: string;
  /** How often in a row. */
  readonly count: number;
  readonly appliedAt: number;
  readonly notBefore: number;
}

/** From so many times in a row on, a change is reported and delayed. */
const SUSPICIOUS = 3;
const FIRST_DELAY_MS = 1_000;
const MAX_DELAY_MS = 5 * 60_000;
/** What is repeated after so long is no oscillation. Longer than the longest delay and than the interval of looks. */
const FORGET_MS = 10 * 60_000;
/** Objects that are remembered unless the caller says otherwise: those that were changed last. */
const MAX_ENTRIES = 5_000;
/** Objects that are named. */
const MAX_NAMED = 20;

export class Oscillation {
  readonly #entries = new Map<string, Entry>();
  readonly #maxEntries: number;
  readonly #maxDelayMs: number;

  constructor({ maxEntries = MAX_ENTRIES, maxDelayMs = MAX_DELAY_MS } = {}) {
    this.#maxEntries = maxEntries;
    this.#maxDelayMs = maxDelayMs;
  }

  /** Whether the change may be made now. `now` in milliseconds, always of the same clock. */
  mayApply({ object, change }: ObjectChange, now: number): boolean {
    const entry = this.#entries.get(object);
    return entry === undefined || entry.change !== change || now >= entry.notBefore;
  }

  /** The change was made. */
  applied({ object, change }: ObjectChange, now: number): void {
    const before = this.#entries.get(object);
    const isAgain = before?.change === change && now - before.appliedAt < FORGET_MS;
    const count = isAgain ? before.count + 1 : 1;
    const delayMs =
      count < SUSPICIOUS
        ? 0
        : Math.min(FIRST_DELAY_MS * 2 ** Math.min(count - SUSPICIOUS, 20), this.#maxDelayMs);
    this.#entries.delete(object);
    this.#entries.set(object, { change, count, appliedAt: now, notBefore: now + delayMs });
    if (this.#entries.size > this.#maxEntries) this.#entries.delete(this.#entries.keys().next().value!);
  }

  /** What happened to these objects explains that they are changed again. */
  forget(isConcerned: (change: ObjectChange) => boolean): void {
    for (const [object, { change }] of this.#entries)
      if (isConcerned({ object, change })) this.#entries.delete(object);
  }

  /** A sentence per object that oscillates, at most twenty. `shown` says what is there in place of it. */
  problems(now: number, shown: (object: string) => string | undefined = () => undefined): string[] {
    const found = this.#oscillating(now);
    const named = found.slice(0, MAX_NAMED).map(([object, { change }]) => {
      const present = shown(object);
      return (
        `${object} is changed back again and again: "${change}" does not last` +
        `${present === undefined ? '' : `, the kernel shows "${present}"`}. Look for another program that writes it`
      );
    });
    return found.length > MAX_NAMED
      ? [...named, `and ${found.length - MAX_NAMED} more objects are changed back again and again`]
      : named;
  }

  /** How many objects oscillate, by kind: the first word of an object. */
  counts(now: number): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const [object] of this.#oscillating(now)) {
      const kind = object.split(' ')[0]!;
      counts[kind] = (counts[kind] ?? 0) + 1;
    }
    return counts;
  }

  /** Over when the change has not been needed for twice the delay that it had, and a minute. */
  #oscillating(now: number): [string, Entry][] {
    return [...this.#entries].filter(
      ([, { count, appliedAt, notBefore }]) =>
        count >= SUSPICIOUS && now < appliedAt + 2 * (notBefore - appliedAt) + 60_000,
    );
  }
}
