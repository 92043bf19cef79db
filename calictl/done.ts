/** What a command prints: text to standard output, failures to standard error. */
export interface Done {
  /** Empty when there is nothing to show. */
  readonly text: string;
  /** A sentence for each failure. If there is one, the exit code is 1. */
  readonly failures: readonly string[];
}
