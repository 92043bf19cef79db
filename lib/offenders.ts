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
}

const MAX_TRIES = 400;

/**
 * The values without which the calculation does not throw, given that it throws now; undefined when that is not for a
 * value that may be left out, or when there are too many tries. Of several values that throw only together, those of
 * later kinds are named.
 */
export function findOffenders<T>(
  world: World<T>,
  throws: (world: World<T>) => boolean,
  { maxTries = MAX_TRIES, isEssential = () => false }: SearchOptions<T> = {},
): Offender<T>[] | undefined {
  let tries = 0;
  const fails = (candidate: World<T>) => {
    if (++tries > maxTries) throw new TooManyTries();
    return throws(candidate);
  };
  const kinds = Object.keys(world);
  let good: World<T> = Object.fromEntries(
    kinds.map((kind) => [kind, world[kind]!.filter((value) => isEssential(kind, value))]),
  );
  const found: Offender<T>[] = [];
  try {
    if (fails(good)) return undefined;
    for (const kind of kinds) {
      const base = good;
      const offenders = offendersOf(world[kind]!, (values) => fails({ ...base, [kind]: values }), {
        isEssential: (value) => isEssential(kind, value),
      });
      found.push(...offenders.map((value) => ({ kind, value })));
      good = { ...base, [kind]: world[kind]!.filter((value) => !offenders.includes(value)) };
    }
  } catch (error) {
    if (error instanceof TooManyTries) return undefined;
    throw error;
  }
  return found;
}

class TooManyTries extends Error {}

/** Those among the values of one kind; their order stays as it is. */
function offendersOf<T>(
  values: readonly T[],
  fails: (values: readonly T[]) => boolean,
  { isEssential }: { isEssential: (value: T) => boolean },
): T[] {
  const offenders: T[] = [];
  const without = (upTo: number) =>
    values.filter((value, index) => (index < upTo || isEssential(value)) && !offenders.includes(value));
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
    // A calculation that answers differently each time.
    if (offenders.includes(offender) || isEssential(offender)) throw new TooManyTries();
    offenders.push(offender);
  }
  return offenders;
}
