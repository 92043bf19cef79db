/**
 * Error boundaries. When a stage throws, the log gets one line with its stack and the status shows it. Its last result
 * stays in force, and the other stages continue.
 */
import { messageOf } from './errors.ts';
import type { Log } from './log.ts';
import { printable } from './plain-text.ts';

/** Characters of a message in a status. */
const MAX_MESSAGE = 300;

export class Boundary {
  readonly #log: Log;
  /** Message by stage. The code names the stages, so the map is bounded. */
  readonly #faults = new Map<string, string>();
  /** Stages that have succeeded once. */
  readonly #worked = new Set<string>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** One sentence for each stage that fails now. */
  faults(): string[] {
    return [...this.#faults].map(([stage, message]) =>
      this.#worked.has(stage)
        ? `${stage} failed, and its last good state stays in force: ${message}`
        : neverWorked(stage, message),
    );
  }

  /** One sentence for each of these stages that has never succeeded, so that it has no state in force. */
  withoutState(stages: readonly string[]): string[] {
    return stages.flatMap((stage) => {
      const message = this.#faults.get(stage);
      return message === undefined || this.#worked.has(stage) ? [] : [neverWorked(stage, message)];
    });
  }

  /** Runs a stage. Returns false when it throws. */
  run(stage: string, task: () => void): boolean {
    return (
      this.value(stage, () => {
        task();
        return true;
      }) ?? false
    );
  }

  /** Returns the value of a stage; undefined when it throws. */
  value<T>(stage: string, task: () => T): T | undefined {
    try {
      const value = task();
      this.#faults.delete(stage);
      this.#worked.add(stage);
      return value;
    } catch (error) {
      const message = printable(messageOf(error), MAX_MESSAGE);
      if (this.#faults.get(stage) !== message)
        this.#log.error({ stage, err: error }, 'a stage failed: its last good state stays in force');
      this.#faults.set(stage, message);
      return undefined;
    }
  }
}

function neverWorked(stage: string, message: string): string {
  return `${stage} has failed since the start: ${message}`;
}
