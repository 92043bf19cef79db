/**
 * Runs the commands of a plan, and remembers how they end. A change that another program keeps reverting, or that the
 * kernel refuses, is made again after a growing delay.
 */
import type { BatchError, Kernel, KernelState } from '../../kernel/port.ts';
import { type ObjectChange, Oscillation } from '../../lib/oscillation.ts';
import { byObject, shownBy } from './object-changes.ts';
import { summarise } from './summary.ts';

/** A peer may announce many routes that the kernel refuses. A refused change may succeed a minute later. */
const REFUSALS = { maxEntries: 100_000, maxDelayMs: 60_000 };

/** Commands of one program, without its name. */
export interface Batch {
  readonly program: 'ip' | 'bridge';
  readonly commands: readonly string[];
}

/** How the batches ended. */
export interface BatchesResult {
  readonly errors: readonly BatchError[];
  /** Commands that wait. */
  readonly held: ReadonlySet<string>;
  readonly changes: ReturnType<typeof byObject>;
}

export class Changes {
  readonly #kernel: Kernel;
  /** Changes that another program reverts. The other parts record theirs here too. */
  readonly oscillation = new Oscillation();
  readonly #refusals = new Oscillation(REFUSALS);
  /** Latest error of each refused command. */
  #refused: ReadonlyMap<string, BatchError> = new Map();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Forgets a link's objects: when it flaps, the kernel removes its routes and neighbours, which is no oscillation. */
  forget(link: string): void {
    const isOf = ({ object, change }: ObjectChange) =>
      !object.startsWith('link ') && change.includes(link) && change.split(/[ ;]+/).includes(link);
    this.oscillation.forget(isOf);
    this.#refusals.forget(isOf);
  }

  /** Runs the commands that are due, in order. */
  async run(batches: readonly Batch[], now: number): Promise<BatchesResult> {
    const changes = byObject(batches.flatMap(({ commands }) => commands));
    const held = new Set(
      changes
        .filter(
          ({ change }) => !this.oscillation.mayApply(change, now) || !this.#refusals.mayApply(change, now),
        )
        .flatMap((one) => one.commands),
    );
    const errors: BatchError[] = [];
    for (const { program, commands } of batches) {
      const due = commands.filter((command) => !held.has(command));
      errors.push(...(await this.#kernel.runBatch(program, due)));
    }
    const failed = new Set(errors.map(({ command }) => command));
    for (const { change, commands } of changes)
      if (!commands.some((command) => held.has(command) || failed.has(command)))
        this.oscillation.applied(change, now);
    return { errors, held, changes };
  }

  /** Records which errors are faults. Commands that wait still count as refused. */
  refuse({ changes, held }: BatchesResult, faults: readonly BatchError[], now: number): void {
    const faulty = new Set(faults.map(({ command }) => command));
    for (const { change, commands } of changes)
      if (commands.some((command) => faulty.has(command))) this.#refusals.applied(change, now);
    const waiting = [...held].flatMap((command) => this.#refused.get(command) ?? []);
    this.#refused = new Map([...faults, ...waiting].map((error) => [error.command, error]));
  }

  /** One sentence per oscillating object and per reason of refusal. */
  problems(now: number, kernel: KernelState): string[] {
    const refused = [...this.#refused.values()];
    return [
      ...this.oscillation.problems(now, (object) => shownBy(kernel, object)),
      ...summarise(
        refused.map(({ command, message }) => ({ object: `ip ${command}`, reason: message })),
        'commands',
      ),
    ];
  }
}
