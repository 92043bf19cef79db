/**
 * Makes the changes of a plan, and remembers how they end. A change that another program keeps reverting, or that the
 * kernel refuses, is made again after a growing delay.
 */
import { type ChangeError, type KernelChange, renderChange } from '../../kernel/change.ts';
import type { Kernel, KernelState } from '../../kernel/port.ts';
import { Oscillation } from '../../lib/oscillation.ts';
import { byObject, type ChangeGroup, shownBy } from './object-changes.ts';
import { summarise } from './summary.ts';

/** A peer may announce many routes that the kernel refuses. A refused change may succeed a minute later. */
const REFUSALS = { maxEntries: 100_000, maxDelayMs: 60_000 };

/** How the changes ended. */
export interface ChangesResult {
  readonly errors: readonly ChangeError[];
  /** Changes that wait. */
  readonly held: ReadonlySet<KernelChange>;
  readonly groups: readonly ChangeGroup[];
}

export class Changes {
  readonly #kernel: Kernel;
  /** Changes that another program reverts. The other parts record theirs here too. */
  readonly oscillation = new Oscillation();
  readonly #refusals = new Oscillation(REFUSALS);
  /** Latest message for each refused change, by the change's text. */
  #refused: ReadonlyMap<string, string> = new Map();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Forgets a link's objects: when it flaps, the kernel removes its routes and neighbours, which is no oscillation. */
  forget(link: string): void {
    this.oscillation.forget(link);
    this.#refusals.forget(link);
  }

  /** Makes the changes that are due, in order. */
  async run(changes: readonly KernelChange[], now: number): Promise<ChangesResult> {
    const groups = byObject(changes);
    const held = new Set(
      groups
        .filter(
          ({ change }) => !this.oscillation.mayApply(change, now) || !this.#refusals.mayApply(change, now),
        )
        .flatMap((group) => group.changes),
    );
    const errors = await this.#kernel.apply(changes.filter((change) => !held.has(change)));
    const failed = new Set(errors.map(({ change }) => change));
    for (const { change, changes: some } of groups)
      if (!some.some((one) => held.has(one) || failed.has(one))) this.oscillation.applied(change, now);
    return { errors, held, groups };
  }

  /** Records which errors are faults. Changes that wait still count as refused. */
  refuse({ groups, held }: ChangesResult, faults: readonly ChangeError[], now: number): void {
    const faulty = new Set(faults.map(({ change }) => change));
    for (const { change, changes } of groups)
      if (changes.some((one) => faulty.has(one))) this.#refusals.applied(change, now);
    const refused = new Map(faults.map(({ change, message }) => [textOf(change), message]));
    for (const change of held) {
      const text = textOf(change);
      const message = this.#refused.get(text);
      if (message !== undefined) refused.set(text, message);
    }
    this.#refused = refused;
  }

  /** One sentence per oscillating object and per reason of refusal. */
  problems(now: number, kernel: KernelState): string[] {
    const refused = [...this.#refused].map(([object, reason]) => ({ object, reason }));
    return [
      ...this.oscillation.problems(now, (object) => shownBy(kernel, object)),
      ...summarise(refused, 'commands'),
    ];
  }
}

/** Returns the command that makes the change. */
function textOf(change: KernelChange): string {
  return `${change.object === 'forwarding' ? 'bridge' : 'ip'} ${renderChange(change)}`;
}
