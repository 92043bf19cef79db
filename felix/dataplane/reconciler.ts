/**
 * All parts of the dataplane: observes the kernel, and makes it as desired. The two steps are separate, so that the
 * desired state can be calculated from the observation. It makes no callbacks and waits only for the kernel.
 */
import { observeTunnels } from '../../ipip/devices.ts';
import type { MissingTunnels } from '../../ipip/tunnelling.ts';
import type { Kernel, RulesTable } from '../../kernel/port.ts';
import type { Log } from '../../lib/log.ts';
import type { KernelRoute } from '../../model/route.ts';
import { addresses } from './addresses.ts';
import type { DataplaneSettings, DesiredDataplane } from './desired.ts';
import { LinkObjects } from './link-objects.ts';
import { neighbours } from './neighbours.ts';
import { type Context, moreUrgent, type Observation, type Part, type Phase, type Urgency } from './part.ts';
import { Routes } from './routes.ts';
import { type Summary, summarise } from './summary.ts';
import { Sysctls } from './sysctls.ts';
import { Tables } from './tables.ts';
import { Tunnels } from './tunnels.ts';

export interface ReconcilerModules {
  readonly log: Log;
  readonly kernel: Kernel;
  readonly nftables: RulesTable;
}

/** How an apply ended. */
export interface Outcome {
  readonly problems: readonly Summary[];
  readonly missingTunnels: MissingTunnels;
  readonly oscillating: Readonly<Record<string, number>>;
  /** Host addresses whose route changed: their connections must be flushed. */
  readonly moved: readonly string[];
  /** Routes of a finished migration that another program may have written (Routes.left). */
  readonly left: readonly KernelRoute[] | undefined;
  /** `retry`: something failed. `again`: routes can use a new device after another pass. `held`: a change waits. */
  readonly next: 'retry' | 'again' | 'held' | undefined;
}

export class Reconciler {
  readonly #modules: ReconcilerModules;
  readonly #tables: Tables;
  readonly #sysctls: Sysctls;
  readonly #tunnels: Tunnels;
  readonly #routes: Routes;
  /** In the order of their first phases: the table comes before anything that lets packets pass. */
  readonly #parts: readonly Part[];
  /** Whether the next observation trusts no notifications. */
  #isFullNext = false;

  constructor(node: string, modules: ReconcilerModules) {
    const { kernel, nftables } = modules;
    this.#modules = modules;
    this.#tables = new Tables(nftables);
    this.#sysctls = new Sysctls(modules);
    this.#tunnels = new Tunnels(node, kernel);
    this.#routes = new Routes(kernel);
    this.#parts = [
      this.#tables,
      this.#sysctls,
      this.#tunnels,
      new LinkObjects(addresses, kernel),
      this.#routes,
      new LinkObjects(neighbours, kernel),
    ];
  }

  setDesired(desired: DesiredDataplane): Urgency {
    return this.#parts.reduce<Urgency>(
      (urgency, part) => moreUrgent(urgency, part.setDesired(desired)),
      'none',
    );
  }

  /** Observes the kernel. Throws when it cannot be read. */
  async observe(now: number): Promise<Observation> {
    const { kernel: port } = this.#modules;
    for (const part of this.#parts) await part.inspect?.(now);
    // The kernel's families, not the node's: when the node loses its address, that family's routes remain ours.
    const isFull = this.#isFullNext;
    this.#isFullNext = false;
    const kernel = await port.observe(port.families, { isFull });
    const observation = { kernel, devices: await observeTunnels(kernel, port) };
    for (const part of this.#parts) part.observe(observation);
    return observation;
  }

  /** Makes the kernel as desired, based on the last observation. */
  async apply(settings: DataplaneSettings, now: number): Promise<Outcome> {
    const context = this.#context(settings, now);
    for (const part of this.#parts) part.plan(context);
    const commands = this.#parts.flatMap(({ pending }) => pending);
    for (const phase of ['first', 'last'] satisfies Phase[])
      for (const part of this.#parts) await part.apply(phase, context);
    if (commands.length > 0) this.#modules.log.debug({ commands }, 'applied');
    const isFailed = this.#parts.some((part) => part.isFailed);
    const isHeld = this.#parts.some((part) => part.isHeld);
    return {
      problems: this.#problems(now),
      missingTunnels: this.#tunnels.missing,
      oscillating: this.oscillating(now),
      moved: this.#routes.moved,
      left: this.#routes.left,
      next: isFailed ? 'retry' : isHeld ? 'held' : this.#tunnels.isAwaited ? 'again' : undefined,
    };
  }

  /** Restores the table if another program changed it. */
  async checkTable(now: number): Promise<void> {
    await this.#tables.inspect(now);
    this.#tables.plan();
    await this.#tables.apply('first');
  }

  /** Number of objects that another program keeps changing back, by kind. */
  oscillating(now: number): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const part of this.#parts)
      for (const [kind, count] of Object.entries(part.oscillating(now)))
        counts[kind] = (counts[kind] ?? 0) + count;
    return counts;
  }

  /** See Kernel.missedNotifications. */
  get missedNotifications(): number {
    return this.#modules.kernel.missedNotifications();
  }

  forget(link: string): void {
    for (const part of this.#parts) part.forget(link);
  }

  /** Checks all sysctls at the next apply: the settings changed. */
  recheckSysctls(): void {
    this.#sysctls.recheck();
  }

  /** Checks everything at the next apply. */
  recheck(): void {
    this.#isFullNext = true;
    for (const part of this.#parts) part.recheck();
  }

  #context(settings: DataplaneSettings, now: number): Context {
    return { now, settings, isUsable: (device) => this.#tunnels.isUsable(device) };
  }

  #problems(now: number): Summary[] {
    return this.#parts.flatMap((part) => summarise(part.problems(now), part.name));
  }
}
