/** Objects of one kind by key, as part of the copy of the kernel's state (mirror.ts). Pure. */
export class MirrorRows<Row extends object> {
  readonly #key: (row: Row) => string;
  #rows = new Map<string, Row>();
  /** Whether `#rows` was given out, so that it must not change. */
  #isShared = false;
  #list: readonly Row[] | undefined;

  constructor(key: (row: Row) => string) {
    this.#key = key;
  }

  /** The rows by key. Later changes do not affect it. */
  get all(): ReadonlyMap<string, Row> {
    this.#isShared = true;
    return this.#rows;
  }

  /** The rows as a list. Later changes do not affect it. */
  get list(): readonly Row[] {
    this.#list ??= [...this.#rows.values()];
    return this.#list;
  }

  /** Replaces all rows. Returns the number of those that differ. */
  load(rows: Iterable<Row>): number {
    const before = this.#rows;
    this.#rows = new Map();
    for (const row of rows) this.#rows.set(this.#key(row), row);
    this.#isShared = false;
    this.#list = undefined;
    let differences = 0;
    for (const [key, row] of this.#rows) if (!isEqual(row, before.get(key))) differences++;
    for (const key of before.keys()) if (!this.#rows.has(key)) differences++;
    return differences;
  }

  put(row: Row): void {
    const key = this.#key(row);
    if (!isEqual(row, this.#rows.get(key))) this.#own().set(key, row);
  }

  /** Removes the row with the same key. */
  remove(row: Row): void {
    const key = this.#key(row);
    if (this.#rows.has(key)) this.#own().delete(key);
  }

  /** Removes the rows of a device, whose key begins with its name. */
  removeOf(device: string): void {
    for (const key of [...this.#rows.keys()]) if (key.startsWith(`${device} `)) this.#own().delete(key);
  }

  /** Returns the rows for a change. */
  #own(): Map<string, Row> {
    if (this.#isShared) this.#rows = new Map(this.#rows);
    this.#isShared = false;
    this.#list = undefined;
    return this.#rows;
  }
}

/** Compares rows of plain values, whose fields have the same order because one function makes them. */
function isEqual(a: object, b: object | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
