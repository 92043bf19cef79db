/**
 * Which values make a calculation throw. The world is built up kind by kind from nothing, and where it throws, the
 * shortest beginning of the kind's values that throws ends with an offender. Pure and deterministic; without offenders
 * it costs one try per kind, each offender about log2 of the kind's size.
 */

/** Values by kind, in order. */
export type World<T> = Readonly<Record<string, readonly T[]>>;

export interface Offender<T> {
  readonly kind: string;
  readonly value: T;
}

export interface SearchOptions<T> {
  /** Tries at most. */
  readonly maxTries?: number;
  /** Values that are never left out. */
  readonly isEssential?: (kind: string, value: T) => boolean;
  /** Asked once an offender is known: true ends the search with those that are. */
  readonly isOver?: () => boolean;
  /** Hears of each offender; the last try that threw did so because of it. */
  readonly onFound?: (value: T) => void;
}

const MAX_TRIES = 400;

/**
 * The values without which the calculation does not throw, given that it throws now; undefined when that is not for a
 * value that may be left out, or when the calculation answers differently each time. Of several values that throw only
 * together, those of later kinds are named. When tries or time run out, those that are known: search again without them.
 */
export function findOffenders<T>(
  world: World<T>,
  throws: (world: World<T>) => boolean,
  {
    maxTries = MAX_TRIES,
    isEssential = () => false,
    isOver = () => false,
    onFound = () => {},
  }: SearchOptions<T> = {},
): Offender<T>[] | undefined {
  let tries = 0;
  const found: Offender<T>[] = [];
  const fails = (candidate: World<T>) => {
    if (++tries > maxTries || (found.length > 0 && isOver())) throw new Enough();
    return throws(candidate);
  };
  const kinds = Object.keys(world);
  let good: World<T> = Object.fromEntries(
    kinds.map((kind) => [kind, world[kind]!.filter((value) => isEssential(kind, value))]),
  );
  try {
    if (fails(good)) return undefined;
    for (const kind of kinds) {
      const base = good;
      const offenders = offendersOf(world[kind]!, {
        fails: (values) => fails({ ...base, [kind]: values }),
        isEssential: (value) => isEssential(kind, value),
        found: (value) => {
          found.push({ kind, value });
          onFound(value);
        },
      });
      good = { ...base, [kind]: world[kind]!.filter((value) => !offenders.has(value)) };
    }
  } catch (error) {
    if (error instanceof Undecided) return undefined;
    if (!(error instanceof Enough)) throw error;
    return found.length > 0 ? found : undefined;
  }
  return found;
}

class Enough extends Error {}
/** A calculation that answers differently each time. */
class Undecided extends Error {}

/** Those among the values of one kind; their order stays as it is. */
function offendersOf<T>(
  values: readonly T[],
  search: {
    readonly fails: (values: readonly T[]) => boolean;
    readonly isEssential: (value: T) => boolean;
    readonly found: (value: T) => void;
  },
): ReadonlySet<T> {
  const { fails, isEssential } = search;
  const offenders = new Set<T>();
  const without = (upTo: number) =>
    values.filter((value, index) => (index < upTo || isEssential(value)) && !offenders.has(value));
  while (fails(without(values.length))) {
    // It does not throw with the first `low` values, and throws with the first `high`.
    let low = 0;
    let high = values.length;
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (fails(without(middle))) high = middle;
      else low = middle;
    }
    const offender = values[high - 1]!;
    if (offenders.has(offender) || isEssential(offender)) throw new Undecided();
    offenders.add(offender);
    search.found(offender);
  }
  return offenders;
}
