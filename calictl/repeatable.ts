/** Parser of a flag that may be given several times: all of its values, in order. */
export function repeatable(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value];
}
