/**
 * The pending changes of a part. Makes them, and remembers how they end: a change that another program keeps reverting,
 * or that the kernel refuses, is made again after a growing delay.
 */
import { type ChangeError, type KernelChange, renderChange } from '../../kernel/change.ts';
import type { Kernel } from '../../kernel/port.ts';
import { Oscillation } from '../../lib/oscillation.ts';
import { byObject } from './object-changes.ts';
import type { Phase, Problem } from './part.ts';

/** A peer may announce many routes that the kernel refuses. A refused change may succeed a minute later. */
const REFUSALS = { maxEntries: 100_000, maxDelayMs: 60_000 };

/** Returns the errors that are faults. */
export type Judge = (errors: readonly ChangeError[]) => readonly ChangeError[];

export class Changes {
  readonly #kernel: Pick<Kernel, 'apply'>;
  readonly #oscillation = new Oscillation();
  readonly #refusals = new Oscillation(REFUSALS);
  #pending: Readonly<Record<Phase, readonly KernelChange[]>> = { first: [], last: [] };
  /** The latest refusals by object. */
  readonly #refused = new Map<string, readonly Problem[]>();
  #isFailed = false;
  #isHeld = false;

  constructor(kernel: Pick<Kernel, 'apply'>) {
    this.#kernel = kernel;
  }

  /** Replaces the pending changes. An object without a change is no longer refused. */
  plan(first: readonly KernelChange[], last: readonly KernelChange[] = []): void {
    this.#pending = { first, last };
    this.#isFailed = false;
    this.#isHeld = false;
    if (this.#refused.size === 0) return;
    const planned = new Set(byObject([...first, ...last]).map(({ change }) => change.object));
    for (const object of this.#refused.keys()) if (!planned.has(object)) this.#refused.delete(object);
  }

  get pending(): string[] {
    return [...this.#pending.first, ...this.#pending.last].map(renderChange);
  }

  /** Whether a change ended with a fault since `plan`. */
  get isFailed(): boolean {
    return this.#isFailed;
  }

  /** Whether a change waits. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** Makes the changes of a phase that are due, in order. */
  async apply(phase: Phase, now: number, judge: Judge): Promise<void> {
    const changes = this.#pending[phase];
    if (changes.length === 0) return;
    const groups = byObject(changes);
    const due = groups.filter(
      ({ change }) => this.#oscillation.mayApply(change, now) && this.#refusals.mayApply(change, now),
    );
    const isHeld = due.length < groups.length;
    const dueChanges = new Set(due.flatMap((group) => group.changes));
    const errors = await this.#kernel.apply(
      isHeld ? changes.filter((change) => dueChanges.has(change)) : changes,
    );
    this.#isHeld ||= isHeld;
    const failed = new Set(errors.map(({ change }) => change));
    const faults = new Map(judge(errors).map(({ change, message }) => [change, message]));
    this.#isFailed ||= faults.size > 0;
    for (const { change, changes: some } of due) {
      if (!some.some((one) => failed.has(one))) this.#oscillation.applied(change, now);
      const refused = some.flatMap((one) => refusal(change.object, one, faults.get(one)));
      if (refused.length > 0) this.#refusals.applied(change, now);
      if (refused.length > 0) this.#refused.set(change.object, refused);
      else this.#refused.delete(change.object);
    }
  }

  /** `shown` describes an object in the kernel, if it can. */
  problems(now: number, shown: (object: string) => string | undefined = () => undefined): Problem[] {
    const oscillating = this.#oscillation
      .problems(now, shown)
      .map(({ object, sentence }) => ({ object, reason: sentence, subject: '' }));
    return [...oscillating, ...[...this.#refused.values()].flat()];
  }

  oscillating(now: number): Readonly<Record<string, number>> {
    return this.#oscillation.counts(now);
  }

  /** Forgets a link's objects: when it flaps, the kernel removes its routes and neighbours, which is not oscillation. */
  forget(link: string): void {
    this.#oscillation.forget(link);
    this.#refusals.forget(link);
  }
}

function refusal(object: string, change: KernelChange, message: string | undefined): Problem[] {
  if (message === undefined) return [];
  const program = change.object === 'forwarding' ? 'bridge' : 'ip';
  return [{ object, reason: message, subject: `${program} ${renderChange(change)}` }];
}
