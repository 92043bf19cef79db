/** Sources of paths: one row per peer, and row 0 for this speaker. */

export interface Source {
  /** Key of the peer; undefined for this speaker. */
  readonly peer: string | undefined;
  readonly isIbgp: boolean;
  /** A route reflector client of this speaker (RFC 4456). */
  readonly isClient: boolean;
  /** A pod of this node. It may be the next hop only for itself. */
  readonly isWorkload?: boolean;
  /** A client of this route server (RFC 7947). */
  readonly isRouteServerClient?: boolean;
  /** BGP identifier as an unsigned 32-bit number. */
  readonly identifier: number;
  /** Address of the peer, canonical text. */
  readonly address: string;
  /** The address as a number, for the last tie-breaker. */
  readonly addressValue: bigint;
}

export const LOCAL = 0;

const local: Source = {
  peer: undefined,
  isIbgp: false,
  isClient: false,
  identifier: 0,
  address: '',
  addressValue: 0n,
};

export class SourceTable {
  readonly #sources: (Source | undefined)[] = [local];
  readonly #free: number[] = [];

  at(row: number): Source {
    return this.#sources[row]!;
  }

  add(source: Source): number {
    const row = this.#free.pop() ?? this.#sources.length;
    this.#sources[row] = source;
    return row;
  }

  /** Replaces the properties of a source, such as being a client. Its paths keep the row. */
  replace(row: number, source: Source): void {
    this.#sources[row] = source;
  }

  /** Frees the row. Call this when no path and no group refers to it. */
  release(row: number): void {
    this.#sources[row] = undefined;
    this.#free.push(row);
  }
}
