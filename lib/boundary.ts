/**
 * Error boundaries: a stage that throws is logged once with its stack and shown in the status, what it had set stays in
 * force, and the other stages go on.
 */
import { messageOf } from './errors.ts';
import type { Log } from './log.ts';
import { printable } from './plain-text.ts';

/** Characters of a message in a status. */
const MAX_MESSAGE = 300;

export class Boundary {
  readonly #log: Log;
  /** By stage. Bounded by the stages that the code names. */
  readonly #faults = new Map<string, string>();
  /** Stages that have succeeded once. */
  readonly #worked = new Set<string>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** What is wrong now, a sentence per stage. */
  faults(): string[] {
    return [...this.#faults].map(([stage, message]) =>
      this.#worked.has(stage)
        ? `${stage} failed, its last good state stays: ${message}`
        : neverWorked(stage, message),
    );
  }

  /** Which of these stages have failed ever since the start, a sentence each: no state of theirs is in force. */
  withoutState(stages: readonly string[]): string[] {
    return stages.flatMap((stage) => {
      const message = this.#faults.get(stage);
      return message === undefined || this.#worked.has(stage) ? [] : [neverWorked(stage, message)];
    });
  }

  /** Runs a stage; whether it did not throw. */
  run(stage: string, task: () => void): boolean {
    return (
      this.value(stage, () => {
        task();
        return true;
      }) ?? false
    );
  }

  /** The value of a stage; undefined when it throws. */
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
