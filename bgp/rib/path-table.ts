/** Paths as rows of prefix, source and attributes. The paths of a prefix form a linked list. */
import type { Rejection, RejectionKind } from '../policy/rejection.ts';
import { grow, grownCapacity, RowStack } from './columns.ts';

export const PathFlag = {
  /** Retained from a restarting peer (RFC 4724). */
  STALE: 1,
  /** In the list of paths that changed in this turn. */
  TOUCHED: 2,
  /** Withdrawn. The row becomes free at the end of the turn. */
  DEAD: 4,
} as const;

export class PathTable {
  prefix = new Int32Array(0);
  next = new Int32Array(0);
  source = new Uint16Array(0);
  /** Path identifier of RFC 7911; 0 without. */
  pathId = new Uint32Array(0);
  /** Attribute sets as received and after import policy. */
  received = new Int32Array(0);
  attributes = new Int32Array(0);
  /** Row of RejectionTable with the reason that the path is not used; 0 when it may be used. */
  rejection = new Uint16Array(0);
  flags = new Uint8Array(0);
  #rows = 0;
  #size = 0;
  readonly #free = new RowStack();

  /** One above the highest row in use. */
  get rows(): number {
    return this.#rows;
  }

  get size(): number {
    return this.#size;
  }

  add(): number {
    this.#size++;
    const free = this.#free.pop();
    if (free >= 0) return free;
    const row = this.#rows++;
    if (row >= this.prefix.length) {
      const capacity = grownCapacity(this.prefix.length, row + 1);
      this.prefix = grow(this.prefix, capacity);
      this.next = grow(this.next, capacity);
      this.source = grow(this.source, capacity);
      this.pathId = grow(this.pathId, capacity);
      this.received = grow(this.received, capacity);
      this.attributes = grow(this.attributes, capacity);
      this.rejection = grow(this.rejection, capacity);
      this.flags = grow(this.flags, capacity);
    }
    return row;
  }

  release(row: number): void {
    this.flags[row] = PathFlag.DEAD;
    this.#size--;
    this.#free.push(row);
  }
}

/** Interned rejection reasons. There are only as many sentences as kinds of faults and filters. */
export class RejectionTable {
  readonly #rows = new Map<string, number>([['', 0]]);
  readonly #texts: string[] = [''];
  readonly #kinds: RejectionKind[] = ['protocol'];

  intern({ reason, kind }: Rejection): number {
    let row = this.#rows.get(reason);
    if (row !== undefined) return row;
    // Filters come and go for months, so the table is bounded. The RIB needs only the fact; the sentence is for people.
    if (this.#texts.length >= 0xffff) return this.#texts.length - 1;
    row = this.#texts.push(reason) - 1;
    this.#kinds.push(kind);
    this.#rows.set(reason, row);
    return row;
  }

  text(row: number): string {
    return this.#texts[row]!;
  }

  kind(row: number): RejectionKind {
    return this.#kinds[row]!;
  }
}
