/** Returns a count with its noun: `1 block`, `2 blocks`, `3 affinities`. */
export function counted(count: number, singular: string, plural = `${singular}s`): string {
  return `${count} ${count === 1 ? singular : plural}`;
}
