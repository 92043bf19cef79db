/** Parser of a flag that may be repeated. Returns all its values, in order. */
export function repeatable(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value];
}
