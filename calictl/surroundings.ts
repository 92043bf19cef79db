/** What the commands need of the process around them. */
import type { Store } from './access.ts';

export interface Surroundings {
  /** Connects to the API. Throws CodedError with a sentence. */
  readonly open: () => Promise<Store>;
  /** To standard output, with a line break. */
  readonly print: (text: string) => void;
  /** To standard error, each sentence once. */
  readonly complain: (sentence: string) => void;
  /** What the process ends with; 0 until it is set. */
  readonly setExitCode: (code: 0 | 1) => void;
}
