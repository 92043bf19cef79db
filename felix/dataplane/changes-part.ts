/** What all parts share whose work is changes of kernel objects (changes.ts). */
import type { Kernel } from '../../kernel/port.ts';
import { Changes, type Judge } from './changes.ts';
import type { DesiredDataplane } from './desired.ts';
import { faultsOf } from './faults.ts';
import type { Context, Observation, Part, PartName, Phase, Problem, Urgency } from './part.ts';

export abstract class ChangesPart implements Part {
  protected readonly changes: Changes;

  constructor(kernel: Pick<Kernel, 'apply'>) {
    this.changes = new Changes(kernel);
  }

  abstract readonly name: PartName;
  abstract setDesired(desired: DesiredDataplane): Urgency;
  abstract observe(observation: Observation): void;
  abstract plan(context: Context, keys?: ReadonlySet<string>): void;
  abstract problems(now: number): readonly Problem[];

  get pending(): string[] {
    return this.changes.pending;
  }

  apply(phase: Phase, context: Context): Promise<void> {
    return this.changes.apply(phase, context.now, this.judge(context));
  }

  /** Returns the test for faults among the errors of an apply. */
  protected judge({ isUsable }: Context): Judge {
    return faultsOf(isUsable);
  }

  get isFailed(): boolean {
    return this.changes.isFailed;
  }

  get isHeld(): boolean {
    return this.changes.isHeld;
  }

  oscillating(now: number): Readonly<Record<string, number>> {
    return this.changes.oscillating(now);
  }

  forget(link: string): void {
    this.changes.forget(link);
  }

  recheck(): void {}
}
