/** Splits text that arrives in pieces into lines. */
export class LineSplitter {
  readonly #maxLength: number;
  #pieces: string[] = [];
  #length = 0;

  /** `maxLength`, in UTF-16 units, bounds the memory for a line without an end. */
  constructor(maxLength: number) {
    this.#maxLength = maxLength;
  }

  /** Returns the lines that this piece completes, except empty ones. Throws RangeError for a line that is too long. */
  push(piece: string): string[] {
    const parts = piece.split('\n');
    const rest = parts.pop()!;
    const lines: string[] = [];
    for (const part of parts) {
      const line = this.#pieces.length > 0 ? this.#pieces.join('') + part : part;
      this.#pieces = [];
      this.#length = 0;
      if (line !== '') lines.push(line);
    }
    if (rest !== '') this.#pieces.push(rest);
    this.#length += rest.length;
    if (this.#length > this.#maxLength)
      throw new RangeError(`a line of the stream is longer than ${this.#maxLength} characters`);
    return lines;
  }
}
