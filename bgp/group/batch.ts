/**
 * UPDATEs for all members of a group, back to back. A member is not sent its own routes, so the batch records which bytes
 * carry the routes of which source.
 */
export class Batch {
  readonly slabs: Uint8Array[] = [];
  messages = 0;
  /** Entries that could not be encoded, with the error. The batch withdraws them. */
  readonly broken: { readonly entries: readonly number[]; readonly error: unknown }[] = [];
  /** Parts by source, as triples of slab, start and end. */
  readonly #parts = new Map<number, number[]>();

  /** Records that these bytes carry routes of one source. Call it in byte order. */
  mark(source: number, slab: number, start: number, end: number): void {
    const parts = this.#parts.get(source);
    if (!parts) {
      this.#parts.set(source, [slab, start, end]);
      return;
    }
    const last = parts.length - 3;
    if (parts[last] === slab && parts[last + 2] === start) parts[last + 2] = end;
    else parts.push(slab, start, end);
  }

  /** Calls `send` with the bytes for a member with this source. */
  forEachPart(source: number, send: (bytes: Uint8Array) => void): void {
    const own = this.#parts.get(source);
    if (!own) {
      for (const slab of this.slabs) send(slab);
      return;
    }
    let next = 0;
    for (const [index, slab] of this.slabs.entries()) {
      let at = 0;
      for (; own[next] === index; next += 3) {
        if (own[next + 1]! > at) send(slab.subarray(at, own[next + 1]));
        at = own[next + 2]!;
      }
      if (at < slab.length) send(at === 0 ? slab : slab.subarray(at));
    }
  }
}
