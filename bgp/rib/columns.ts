/** Growing typed arrays. A table is a set of columns, and a row is an index into all of them. */

export type Column = Uint8Array | Uint16Array | Uint32Array | Int32Array;

/** New capacity for `needed` rows: doubled while small, half as much again once that costs megabytes. */
export function grownCapacity(capacity: number, needed: number): number {
  let grown = Math.max(capacity, 64);
  while (grown < needed) grown = grown < 1 << 20 ? grown * 2 : Math.ceil(grown * 1.5);
  return grown;
}

/** Copies the column to one of `capacity` rows. New rows hold `fill`. */
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

  /** Removes and returns the last row; -1 when empty. */
  pop(): number {
    return this.#length === 0 ? -1 : this.#rows[--this.#length]!;
  }

  /** Removes all rows, and releases the memory of a burst. */
  clear(): void {
    this.#length = 0;
    if (this.#rows.length > 1 << 16) this.#rows = new Int32Array(64);
  }

  /** A view of the rows, valid until the next push or clear. */
  rows(): Int32Array {
    return this.#rows.subarray(0, this.#length);
  }
}
