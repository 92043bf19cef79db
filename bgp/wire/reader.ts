/** A bounds-checked cursor over bytes. */

/** Thrown when a field exceeds the remaining bytes. The caller converts it to the error of the protocol. */
export class ShortRead extends Error {
  constructor(wanted: number, left: number) {
    super(`${wanted} bytes wanted, ${left} left`);
    this.name = 'ShortRead';
  }
}

export class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  u8(): number {
    return this.bytes(1)[0]!;
  }

  u16(): number {
    const b = this.bytes(2);
    return (b[0]! << 8) | b[1]!;
  }

  u32(): number {
    const b = this.bytes(4);
    return ((b[0]! << 24) | (b[1]! << 16) | (b[2]! << 8) | b[3]!) >>> 0;
  }

  /** Returns a view, not a copy. */
  bytes(count: number): Uint8Array {
    if (count > this.left) throw new ShortRead(count, this.left);
    const view = this.#bytes.subarray(this.#at, this.#at + count);
    this.#at += count;
    return view;
  }

  /** Returns a cursor over the next `count` bytes, for a length-prefixed part. */
  sub(count: number): Reader {
    return new Reader(this.bytes(count));
  }

  rest(): Uint8Array {
    return this.bytes(this.left);
  }
}
