/** Rows by key, and what differs when they are replaced. */
import { isSameValue } from '../../lib/same-value.ts';

/** A row that was added, removed or changed. */
export interface RowChange<Row> {
  readonly key: string;
  readonly before: Row | undefined;
  readonly after: Row | undefined;
}

export class Rows<Row> {
  #rows: ReadonlyMap<string, Row> = new Map();

  get all(): ReadonlyMap<string, Row> {
    return this.#rows;
  }

  /** Replaces all rows. Returns those that differ by value; the others remain the same objects. */
  replace(rows: ReadonlyMap<string, Row>): RowChange<Row>[] {
    const before = this.#rows;
    const merged = new Map<string, Row>();
    const changes: RowChange<Row>[] = [];
    for (const [key, after] of rows) {
      const old = before.get(key);
      const isSame = old !== undefined && isSameValue(old, after);
      merged.set(key, isSame ? old : after);
      if (!isSame) changes.push({ key, before: old, after });
    }
    this.#rows = merged;
    for (const [key, old] of before) if (!rows.has(key)) changes.push({ key, before: old, after: undefined });
    return changes;
  }
}

/** Returns the rows with these keys; all if undefined. */
export function pick<Row>(
  rows: ReadonlyMap<string, Row>,
  keys: ReadonlySet<string> | undefined,
): ReadonlyMap<string, Row> {
  if (!keys) return rows;
  const picked = new Map<string, Row>();
  for (const key of keys) {
    const row = rows.get(key);
    if (row !== undefined) picked.set(key, row);
  }
  return picked;
}
