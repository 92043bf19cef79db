/** Compares plain data by value: primitives, arrays and objects of such. Faster than isDeepStrictEqual for small rows. */

/** Whether two values of plain data are equal. A property that is undefined equals a missing one. */
export function isSameValue(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (Array.isArray(a)) return Array.isArray(b) && isSameArray(a, b);
  return isObject(a) && isObject(b) && !Array.isArray(b) && hasValuesOf(a, b) && hasValuesOf(b, a);
}

type Fields = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}

function isSameArray(a: readonly unknown[], b: readonly unknown[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (!isSameValue(a[i], b[i])) return false;
  return true;
}

/** Whether `a` has all values of `b`. */
function hasValuesOf(a: Fields, b: Fields): boolean {
  for (const key in b) if (a[key] !== b[key] && !isSameValue(a[key], b[key])) return false;
  return true;
}
