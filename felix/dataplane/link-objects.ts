/**
 * The parts for objects on the pods' interfaces: addresses and neighbours. All such objects on our interfaces are ours.
 * A desired one waits until its interface exists.
 */
import type { KernelChange } from '../../kernel/change.ts';
import type { Kernel, KernelState } from '../../kernel/port.ts';
import { ChangesPart } from './changes-part.ts';
import type { DesiredDataplane } from './desired.ts';
import { isOurs } from './own-links.ts';
import type { Context, Observation, PartName, Problem, Urgency } from './part.ts';
import { pick, Rows } from './rows.ts';

/** A kind of object on an interface. */
export interface LinkObjectKind<Row extends { readonly device: string }> {
  readonly name: PartName;
  /** How urgent a difference is. */
  readonly urgency: Urgency;
  readonly key: (row: Row) => string;
  readonly desired: (desired: DesiredDataplane) => readonly Row[];
  /** Returns the rows of all interfaces. */
  readonly observed: (kernel: KernelState) => readonly Row[];
  /** Compares rows with the same key. */
  readonly isSame: (wanted: Row, present: Row) => boolean;
  readonly put: (row: Row) => KernelChange;
  readonly remove: (row: Row) => KernelChange;
  /** Describes an object in the kernel. */
  readonly shown?: (kernel: KernelState, object: string) => string | undefined;
}

export class LinkObjects<Row extends { readonly device: string }> extends ChangesPart {
  readonly #kind: LinkObjectKind<Row>;
  readonly #desired = new Rows<Row>();
  #observed: ReadonlyMap<string, Row> = new Map();
  #kernel: KernelState | undefined;

  constructor(kind: LinkObjectKind<Row>, kernel: Pick<Kernel, 'apply'>) {
    super(kernel);
    this.#kind = kind;
  }

  get name(): PartName {
    return this.#kind.name;
  }

  setDesired(desired: DesiredDataplane): Urgency {
    const changed = this.#desired.replace(this.#byKey(this.#kind.desired(desired)));
    return changed.length > 0 ? this.#kind.urgency : 'none';
  }

  observe({ kernel }: Observation): void {
    this.#kernel = kernel;
    this.#observed = this.#byKey(this.#kind.observed(kernel).filter(({ device }) => isOurs(kernel, device)));
  }

  plan(_context: Context, keys?: ReadonlySet<string>): void {
    const { isSame, put, remove } = this.#kind;
    const wanted = pick(this.#desired.all, keys);
    const present = pick(this.#observed, keys);
    const changes: KernelChange[] = [];
    for (const [key, row] of wanted) {
      const found = present.get(key);
      const isPossible = this.#kernel?.links.has(row.device) ?? false;
      if (isPossible && (found === undefined || !isSame(row, found))) changes.push(put(row));
    }
    for (const [key, row] of present) if (!wanted.has(key)) changes.push(remove(row));
    this.changes.plan(changes);
  }

  problems(now: number): Problem[] {
    const kernel = this.#kernel;
    return this.changes.problems(now, (object) => kernel && this.#kind.shown?.(kernel, object));
  }

  #byKey(rows: readonly Row[]): ReadonlyMap<string, Row> {
    return new Map(rows.map((row) => [this.#kind.key(row), row]));
  }
}
