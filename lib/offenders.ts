/**
 * Finds the values that make a calculation throw. It adds the input kind by kind; when the calculation throws, the
 * shortest throwing prefix of the kind's values ends with an offender. Pure and deterministic. It takes one try per
 * kind, and about log2 of the kind's size for each offender.
 */

/** Values by kind, in order. */
export type World<T> = Readonly<Record<string, readonly T[]>>;

export interface Offender<T> {
  readonly kind: string;
  readonly value: T;
}

export interface SearchOptions<T> {
  /** Maximum number of tries. */
  readonly maxTries?: number;
  /** Whether a value must never be left out. */
  readonly isEssential?: (kind: string, value: T) => boolean;
  /** Called once an offender is found. True ends the search with the offenders so far. */
  readonly isOver?: () => boolean;
  /** Called for each offender, right after the try that it made throw. */
  readonly onFound?: (value: T) => void;
}

const MAX_TRIES = 400;

/**
 * Returns the values to leave out so that the calculation, which throws now, succeeds. Undefined when an essential
 * value causes the error, or when the calculation is not deterministic. Of values that throw only in combination, it
 * names those of later kinds. When tries or time run out it returns the offenders so far; search again without them.
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
/** The calculation is not deterministic. */
class Undecided extends Error {}

/** Offenders among the values of one kind, in order. */
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
