/**
 * An error with a code and typed details. Expected outcomes are values elsewhere; this is for broken
 * promises and broken worlds, and for refusals that travel to a user: the message is the sentence he reads.
 */
export class CodedError<Code extends string = string> extends Error {
  readonly code: Code;

  constructor(code: Code, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
