/**
 * The dataplane's loop. A pass observes the kernel, gives the observation to the agent, which answers with the desired
 * state, and then applies that (reconciler.ts). `setDesired` provides the whole desired state; nothing changes before
 * its first call. The dataplane is the only writer of routes with our protocol numbers, of neighbours on our interfaces
 * and their sysctls, of the tunnel devices and of our nftables table. The CNI server creates and removes the pods'
 * links.
 */
import type { KernelEvent, RulesTable } from '../../kernel/port.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { Mutex } from '../../lib/mutex.ts';
import { TrackedConnections } from './connections.ts';
import type { DataplaneSettings, DesiredDataplane } from './desired.ts';
import type { DataplaneModules, DataplaneOptions, PassReport } from './modules.ts';
import { movedAddresses } from './neighbours.ts';
import type { Observation, Urgency } from './part.ts';
import { Problems } from './problems.ts';
import { type Outcome, Reconciler } from './reconciler.ts';
import { type DataplaneStats, noStats } from './stats.ts';
import type { Summary } from './summary.ts';

/** Delay that lets changes arriving together be applied together. */
const COALESCE_MS = 10;
/** Hints arrive in bursts, mostly from our own changes; one observation follows the burst. */
const HINT_MS = 250;
const RETRY_MS = 1000;
/** Interval of checks for oscillating objects. Most of them continue to wait. */
const HELD_MS = 5_000;
/** Interval of checks of our nftables table without kernel events. */
const TABLE_CHECK_MS = 5000;

export class Dataplane {
  readonly #clock: DataplaneModules['clock'];
  readonly #log: Log;
  readonly #nftables: RulesTable;
  readonly #observed: DataplaneModules['observed'];
  readonly #applied: DataplaneModules['applied'];
  readonly #guarded: DataplaneModules['guarded'];
  readonly #reconciler: Reconciler;
  readonly #connections: TrackedConnections;
  readonly #monitor: { close(): void };
  readonly #problems: Problems;
  /** Passes and checks of the table, one after the other. */
  readonly #mutex = new Mutex();
  #desired: DesiredDataplane | undefined;
  #settings: DataplaneSettings = { resyncMs: 0, families: [], hasForwarding: true, problems: [] };
  #stats: DataplaneStats = { ...noStats, problems: ['not applied yet'] };
  #cancelApply: (() => void) | undefined;
  #applyAt = 0;
  #cancelResync: (() => void) | undefined;
  #cancelTableCheck: (() => void) | undefined;
  /** When the last pass ended; infinite during one. */
  #lastPassAt = 0;
  #isGuarded = false;
  #isClosed = false;

  constructor({ node }: DataplaneOptions, modules: DataplaneModules) {
    const { clock, log, kernel, nftables, observed, applied, guarded } = modules;
    this.#clock = clock;
    this.#log = log;
    this.#nftables = nftables;
    this.#observed = observed;
    this.#applied = applied;
    this.#guarded = guarded;
    this.#problems = new Problems(log);
    this.#reconciler = new Reconciler(node, { log, kernel, nftables });
    this.#connections = new TrackedConnections(kernel.openConnections(), log);
    this.#monitor = kernel.watch((event) => this.#hint(event));
    this.#scheduleTableCheck();
  }

  /** Applies settings. The first call starts the periodic check. */
  configure(settings: DataplaneSettings): void {
    if (
      settings.resyncMs === this.#settings.resyncMs &&
      settings.families.join() === this.#settings.families.join() &&
      settings.hasForwarding === this.#settings.hasForwarding &&
      settings.isOffloadBroken === this.#settings.isOffloadBroken &&
      settings.problems.join() === this.#settings.problems.join()
    )
      return;
    this.#settings = settings;
    this.#reconciler.recheckSysctls();
    this.#cancelResync?.();
    this.#scheduleResync();
    this.#schedule(HINT_MS);
  }

  get stats(): DataplaneStats {
    return this.#stats;
  }

  /** Replaces the desired state and applies it after a short delay. An unchanged state has no effect. */
  setDesired(desired: DesiredDataplane): void {
    const urgency = this.#accept(desired);
    if (urgency !== 'none') this.#schedule(urgency === 'now' ? COALESCE_MS : HINT_MS);
  }

  /** Applies now. Resolves after the kernel has been changed. */
  apply(): Promise<void> {
    return this.#mutex.run(() => this.#pass());
  }

  /** Stops permanently; kernel state remains. */
  close(): void {
    this.#isClosed = true;
    this.#desired = undefined;
    this.#cancelApply?.();
    this.#cancelResync?.();
    this.#cancelTableCheck?.();
    this.#monitor.close();
    this.#connections.close();
  }

  #accept(desired: DesiredDataplane): Urgency {
    if (this.#isClosed) return 'none';
    const urgency = this.#reconciler.setDesired(desired);
    // Flush the connections of deleted pods: their routes were removed with the links.
    if (urgency !== 'none')
      this.#connections.flush(movedAddresses(this.#desired?.endpoints ?? [], desired.endpoints));
    const isFirst = this.#desired === undefined;
    this.#desired = desired;
    return isFirst ? 'now' : urgency;
  }

  /** Schedules a pass after the delay, unless an earlier one is scheduled. */
  #schedule(delayMs: number): void {
    if (!this.#desired) return;
    const at = this.#clock.now() + delayMs;
    if (this.#cancelApply && this.#applyAt <= at) return;
    this.#cancelApply?.();
    this.#applyAt = at;
    this.#cancelApply = this.#clock.after(delayMs, () => {
      this.#cancelApply = undefined;
      void this.apply();
    });
  }

  #hint({ link, isAddress, isRouteGone, isRelevant }: KernelEvent): void {
    if (link) this.#reconciler.forget(link);
    if (isRelevant) this.#schedule(isAddress || (isRouteGone && this.#isResting()) ? COALESCE_MS : HINT_MS);
  }

  /** Whether there was no pass lately: what happens is not an effect of our own changes, and not one event of many. */
  #isResting(): boolean {
    return this.#clock.now() - this.#lastPassAt >= HINT_MS;
  }

  #scheduleResync(): void {
    const jitter = 0.9 + this.#clock.random() * 0.2;
    this.#cancelResync = this.#clock.after(this.#settings.resyncMs * jitter, () => {
      this.#reconciler.recheck();
      this.#schedule(0);
      this.#scheduleResync();
    });
  }

  /** Observes, asks for the desired state, applies it, and reports. */
  async #pass(): Promise<void> {
    if (!this.#desired) return;
    const startedAt = this.#clock.now();
    this.#lastPassAt = Number.POSITIVE_INFINITY;
    let observation: Observation | undefined;
    let outcome: Outcome | undefined;
    try {
      observation = await this.#reconciler.observe(startedAt);
      const { kernel } = observation;
      this.#connections.follow(kernel);
      const desired = this.#observed(kernel);
      if (desired) this.#accept(desired);
      // `close` may have been called meanwhile.
      if (!this.#desired) return;
      outcome = await this.#reconciler.apply(this.#settings, startedAt);
      this.#connections.flush(outcome.moved);
      this.#finish(outcome);
    } catch (error) {
      this.#fail(messageOf(error));
    }
    this.#lastPassAt = this.#clock.now();
    this.#applied(this.#report(startedAt, observation, outcome));
    this.#reportGuard();
  }

  #report(startedAt: number, observation: Observation | undefined, outcome: Outcome | undefined): PassReport {
    return {
      seconds: (this.#clock.now() - startedAt) / 1000,
      kernel: observation?.kernel,
      missingTunnels: this.#stats.missingTunnels,
      left: outcome?.left,
    };
  }

  /** Informs the caller once when the table is in force or known to be impossible. */
  #reportGuard(): void {
    if (!this.#nftables.isTried || this.#isGuarded) return;
    this.#isGuarded = true;
    this.#guarded();
  }

  /** Polls our table. We use no kernel events, because nft monitor keeps a copy of all tables. */
  #scheduleTableCheck(): void {
    this.#cancelTableCheck = this.#clock.after(TABLE_CHECK_MS, () => {
      this.#mutex
        .run(() => this.#checkTable())
        .catch((error: unknown) => this.#log.error({ err: error }, 'nftables table not checked: retrying'));
      this.#scheduleTableCheck();
    });
  }

  async #checkTable(): Promise<void> {
    if (!this.#desired) return;
    await this.#reconciler.checkTable(this.#clock.now());
    // Another program has begun to change it repeatedly: report that.
    const { oscillating } = this.#stats;
    if (!('table' in oscillating) && 'table' in this.#reconciler.oscillating(this.#clock.now()))
      this.#schedule(0);
    this.#reportGuard();
  }

  /** Records how a pass ended, and schedules the next one if it is needed. */
  #finish({ problems, missingTunnels, oscillating, next }: Outcome): void {
    const settings = this.#settings.problems.map((text) => ({ text, isPassing: false }));
    this.#record([...settings, ...problems], next === 'retry', { missingTunnels, oscillating });
    if (next === 'again') this.#schedule(0);
    if (next === 'held') this.#schedule(HELD_MS);
  }

  #fail(reason: string): void {
    this.#record([{ text: reason, isPassing: false }], true, this.#stats);
  }

  #record(
    problems: readonly Summary[],
    isFailed: boolean,
    { missingTunnels, oscillating }: Pick<DataplaneStats, 'missingTunnels' | 'oscillating'>,
  ): void {
    const { routes = [] } = this.#desired ?? {};
    this.#stats = {
      applies: this.#stats.applies + 1,
      failures: this.#stats.failures + (isFailed ? 1 : 0),
      routes: routes.length,
      ipv6Routes: routes.filter(({ destination }) => destination.includes(':')).length,
      problems: problems.map(({ text }) => text),
      missingTunnels,
      oscillating,
      missedNotifications: this.#reconciler.missedNotifications,
    };
    const isNew = this.#problems.update(problems);
    if (isFailed || isNew) this.#schedule(RETRY_MS);
  }
}
