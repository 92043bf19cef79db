/** The part that keeps our routes in the main table. Rows are keyed by destination. */
import type { KernelState } from '../../kernel/port.ts';
import type { KernelRoute, Route } from '../../model/route.ts';
import { ChangesPart } from './changes-part.ts';
import type { DesiredDataplane } from './desired.ts';
import { NextHops } from './next-hops.ts';
import { shownBy } from './object-changes.ts';
import type { Context, Observation, Problem, Urgency } from './part.ts';
import { type Obstacle, planTable, type RoutePlan } from './route-plan.ts';
import { byDestination, divideRoutes, type RouteTable } from './route-table.ts';
import { Rows } from './rows.ts';

/** Whose routes are ours, and which of them may change. */
type Rules = Pick<DesiredDataplane, 'ownership' | 'isLearnedComplete' | 'mayReplaceDefault'>;

export class Routes extends ChangesPart {
  readonly name = 'routes';
  readonly #desired = new Rows<readonly Route[]>();
  readonly #rules = new Rows<Rules>();
  #kernel: KernelState | undefined;
  /** The observed routes, divided by `#rules`; undefined when either is new. */
  #table: RouteTable | undefined;
  #plan: RoutePlan | undefined;
  readonly #nextHops = new NextHops();
  readonly #blocked = new Map<string, Obstacle>();

  /** The CNI server has already programmed the routes to pods. */
  setDesired({ routes, ownership, isLearnedComplete, mayReplaceDefault }: DesiredDataplane): Urgency {
    const changed = this.#desired.replace(byDestination(routes));
    const rules = { ownership, isLearnedComplete, mayReplaceDefault: mayReplaceDefault ?? false };
    if (this.#rules.replace(new Map([['all', rules]])).length > 0) {
      this.#table = undefined;
      return 'now';
    }
    if (changed.length === 0) return 'none';
    const isOfPods = (list: readonly Route[] = []) => list.every(({ device }) => device !== undefined);
    return changed.every(({ before, after }) => isOfPods(before) && isOfPods(after)) ? 'confirm' : 'now';
  }

  observe({ kernel }: Observation): void {
    this.#kernel = kernel;
    this.#table = undefined;
  }

  plan({ isUsable }: Context, destinations?: ReadonlySet<string>): void {
    const kernel = this.#kernel;
    const rules = this.#rules.all.get('all');
    if (!kernel || !rules) return;
    this.#table ??= divideRoutes(kernel.routes, rules.ownership);
    const options = {
      keepLearned: !rules.isLearnedComplete,
      ownAddresses: new Set(kernel.addresses.map(({ cidr }) => cidr.split('/')[0]!)),
      mayReplaceDefault: rules.mayReplaceDefault ?? false,
      hasLink: (name: string) => isUsable(name) && (kernel.links.get(name)?.isUp ?? false),
      ownership: rules.ownership,
      nextHops: this.#nextHops,
    };
    this.#plan = planTable(this.#desired.all, this.#table, options, destinations);
    for (const destination of destinations ?? [...this.#blocked.keys()]) this.#blocked.delete(destination);
    for (const { destination, ...obstacle } of this.#plan.blocked) this.#blocked.set(destination, obstacle);
    this.changes.plan(this.#plan.changes);
  }

  problems(now: number): Problem[] {
    const kernel = this.#kernel;
    const blocked = [...this.#blocked].map(([destination, obstacle]) => ({
      object: `route ${destination}`,
      ...obstacle,
    }));
    return [...this.changes.problems(now, (object) => kernel && shownBy(kernel, object)), ...blocked];
  }

  /** Host addresses whose route the last plan changes or removes: their connections must be flushed. */
  get moved(): readonly string[] {
    return this.#plan?.moved ?? [];
  }

  /**
   * Routes with a former number that may be another program's, when learned routes are complete and the last full plan
   * found none of ours with a former number. Otherwise undefined: the migration continues.
   */
  get left(): readonly KernelRoute[] | undefined {
    const isComplete = this.#rules.all.get('all')?.isLearnedComplete ?? false;
    return isComplete && this.#plan && !this.#plan.isMigrating ? this.#plan.left : undefined;
  }
}
