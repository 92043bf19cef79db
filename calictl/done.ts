/** What a command did, for standard output, and what failed, for standard error. */
export interface Done {
  /** Empty when there is nothing to show. */
  readonly text: string;
  /** Sentences; with any of them the command ends with exit code 1. */
  readonly failures: readonly string[];
}
