/** Interface of the commands to their process. */
import type { Store } from './access.ts';

export interface Surroundings {
  /** Connects to the API. Throws CodedError with a sentence. */
  readonly open: () => Promise<Store>;
  /** Prints to standard output, with a line break. */
  readonly print: (text: string) => void;
  /** Prints to standard error, each sentence once. */
  readonly complain: (sentence: string) => void;
  /** Width of the terminal; undefined when the output goes to a file or a pipe. */
  readonly columns: () => number | undefined;
  /** Sets the exit code of the process; initially 0. */
  readonly setExitCode: (code: 0 | 1) => void;
}
