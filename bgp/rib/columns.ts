/** Typed arrays that grow: a table is a set of columns, a row an index into all of them. */

export type Column = Uint8Array | Uint16Array | Uint32Array | Int32Array;

/** Rows that a table of `needed` rows gets: doubled while small, by half once a row more costs megabytes. */
export function grownCapacity(capacity: number, needed: number): number {
  let grown = Math.max(capacity, 64);
  while (grown < needed) grown = grown < 1 << 20 ? grown * 2 : Math.ceil(grown * 1.5);
  return grown;
}

/** The same column with room for `capacity` rows; new rows hold `fill`. */
export function grow<C extends Column>(column: C, capacity: number, fill = 0): C {
  if (column.length >= capacity) return column;
  const grown = new (column.constructor as new (length: number) => C)(capacity);
  grown.set(column);
  if (fill !== 0) grown.fill(fill, column.length);
  return grown;
}

/** A stack of row numbers, such as the free rows of a table. */
export class RowStack {
  #rows = new Int32Array(64);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(row: number): void {
    if (this.#length === this.#rows.length) this.#rows = grow(this.#rows, this.#length * 2);
    this.#rows[this.#length++] = row;
  }

  /** The row pushed last; -1 when there is none. */
  pop(): number {
    return this.#length === 0 ? -1 : this.#rows[--this.#length]!;
  }

  /** Forgets all rows, and memory that a burst took. */
  clear(): void {
    this.#length = 0;
    if (this.#rows.length > 1 << 16) this.#rows = new Int32Array(64);
  }

  /** A view of the rows; gone at the next push or clear. */
  rows(): Int32Array {
    return this.#rows.subarray(0, this.#length);
  }
}
