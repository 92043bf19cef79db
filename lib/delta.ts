/** What turns `actual` into `desired`, both keyed the same way. */
export interface Delta<T> {
  readonly create: readonly T[];
  readonly update: readonly { readonly from: T; readonly to: T }[];
  readonly remove: readonly T[];
}

/** Compares two keyed sets by `isEqual`; the order of each list is that of its input. */
export function diff<T>(
  actual: ReadonlyMap<string, T>,
  desired: ReadonlyMap<string, T>,
  isEqual: (a: T, b: T) => boolean,
): Delta<T> {
  const create: T[] = [];
  const update: { from: T; to: T }[] = [];
  const remove: T[] = [];
  for (const [key, to] of desired) {
    const from = actual.get(key);
    if (from === undefined) create.push(to);
    else if (!isEqual(from, to)) update.push({ from, to });
  }
  for (const [key, from] of actual) if (!desired.has(key)) remove.push(from);
  return { create, update, remove };
}
