/** Result of a command: text for standard output and failures for standard error. */
export interface Done {
  /** Empty when there is nothing to show. */
  readonly text: string;
  /** Sentences. With any of them the exit code is 1. */
  readonly failures: readonly string[];
}
