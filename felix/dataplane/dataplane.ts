/**
 * The dataplane observes the kernel, compares, applies changes, and repeats. `setDesired` provides the whole desired
 * state; nothing changes before its first call. The dataplane is the only writer of routes with our protocol numbers,
 * of neighbours on our interfaces and their sysctls, of the tunnel devices and of our nftables table. The CNI server
 * creates and removes the pods' links.
 */

import type { TunnelDevice } from '../../ipip/device-plan.ts';
import { observeTunnels, ownTunnels } from '../../ipip/devices.ts';
import { renderChange } from '../../kernel/change.ts';
import type { Kernel, KernelEvent, KernelState, RulesTable } from '../../kernel/port.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { Mutex } from '../../lib/mutex.ts';
import { tunnels } from '../../model/tunnel.ts';
import { Changes } from './changes.ts';
import { TrackedConnections } from './connections.ts';
import type { DataplaneSettings, DesiredDataplane } from './desired.ts';
import { isFault, missingOf, wantedOf } from './faults.ts';
import type { DataplaneModules, DataplaneOptions } from './modules.ts';
import { movedAddresses } from './neighbours.ts';
import { type PassPlan, planPass } from './plan.ts';
import { Problems } from './problems.ts';
import { type DataplaneStats, noStats } from './stats.ts';
import { summarise } from './summary.ts';
import { Sysctls } from './sysctls.ts';
import { Table } from './table.ts';

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
  readonly #options: DataplaneOptions;
  readonly #clock: DataplaneModules['clock'];
  readonly #log: Log;
  readonly #kernel: Kernel;
  readonly #connections: TrackedConnections;
  readonly #monitor: { close(): void };
  readonly #refresh: DataplaneModules['refresh'];
  readonly #observed: DataplaneModules['observed'];
  readonly #migrated: DataplaneModules['migrated'];
  readonly #guarded: DataplaneModules['guarded'];
  readonly #applied: (seconds: number) => void;
  readonly #nftables: RulesTable;
  readonly #changes: Changes;
  readonly #sysctls: Sysctls;
  readonly #table: Table;
  readonly #mutex = new Mutex();
  #desired: DesiredDataplane | undefined;
  #routesText = '';
  #endpointsText = '';
  #settings: DataplaneSettings = { resyncMs: 0, families: [], hasForwarding: true, problems: [] };
  #cancelApply: (() => void) | undefined;
  #applyAt = 0;
  #cancelResync: (() => void) | undefined;
  #stats: DataplaneStats = { ...noStats, problems: ['not applied yet'] };
  readonly #problems: Problems;
  #cancelTableCheck: (() => void) | undefined;
  #isGuarded = false;
  #isClosed = false;

  constructor(options: DataplaneOptions, modules: DataplaneModules) {
    this.#options = options;
    this.#refresh = modules.refresh;
    this.#observed = modules.observed;
    this.#migrated = modules.migrated;
    this.#guarded = modules.guarded;
    this.#applied = modules.applied ?? (() => {});
    this.#nftables = modules.nftables;
    this.#clock = modules.clock;
    this.#log = modules.log;
    this.#problems = new Problems(modules.log);
    this.#kernel = modules.kernel;
    this.#changes = new Changes(modules.kernel);
    const parts = { ...modules, oscillation: this.#changes.oscillation };
    this.#sysctls = new Sysctls(parts);
    this.#table = new Table(parts);
    this.#connections = new TrackedConnections(modules.kernel.openConnections(), modules.log);
    this.#monitor = modules.kernel.watch((event) => this.#hint(event));
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
    this.#sysctls.recheck();
    this.#cancelResync?.();
    this.#scheduleResync();
    this.#schedule(HINT_MS);
  }

  get stats(): DataplaneStats {
    return this.#stats;
  }

  /** Replaces the desired state and applies it after a short delay. An unchanged state has no effect. */
  setDesired(desired: DesiredDataplane): void {
    if (this.#isClosed) return;
    const text = JSON.stringify([
      desired.routes.filter(({ device }) => device === undefined),
      desired.addresses,
      desired.tunnels,
      desired.isLearnedComplete,
      desired.ownership,
      desired.mayReplaceDefault,
    ]);
    const endpoints = JSON.stringify(desired.endpoints);
    // The CNI server has already programmed changes that concern only pods; this pass confirms them.
    const isTableNew = desired.ruleset !== this.#desired?.ruleset;
    const delayMs = text !== this.#routesText || isTableNew ? COALESCE_MS : HINT_MS;
    if (text === this.#routesText && endpoints === this.#endpointsText && !isTableNew) return;
    this.#routesText = text;
    this.#endpointsText = endpoints;
    // Flush the connections of deleted pods: their routes were removed with the links.
    this.#connections.flush(movedAddresses(this.#desired?.endpoints ?? [], desired.endpoints));
    this.#desired = desired;
    this.#schedule(delayMs);
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

  /** Schedules an apply after the delay, unless an earlier one is scheduled. */
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

  #hint({ link, isAddress, isRelevant }: KernelEvent): void {
    if (link) {
      this.#sysctls.forget(link);
      this.#changes.forget(link);
    }
    if (isRelevant) this.#schedule(isAddress ? COALESCE_MS : HINT_MS);
  }

  #scheduleResync(): void {
    const jitter = 0.9 + this.#clock.random() * 0.2;
    this.#cancelResync = this.#clock.after(this.#settings.resyncMs * jitter, () => {
      this.#sysctls.recheck();
      this.#table.recheck();
      this.#schedule(0);
      this.#scheduleResync();
    });
  }

  /** Observes, applies and informs the caller, who is never called in the middle of an apply. */
  async #pass(): Promise<void> {
    if (!this.#desired) return;
    const startedAt = this.#clock.now();
    try {
      // The kernel's families, not the node's: when the node loses its address, that family's routes remain ours.
      const kernel = await this.#kernel.observe(this.#kernel.families);
      const devices = await observeTunnels(kernel, this.#kernel);
      this.#connections.follow(kernel);
      // The desired state depends on the observation, as the tunnels' MTU does. Nothing has changed yet.
      this.#observed(kernel);
      this.#refresh();
      const desired: DesiredDataplane | undefined = this.#desired;
      if (!desired) return;
      const wasMissing = JSON.stringify(this.#stats.missingTunnels);
      const plan = await this.#apply(desired, kernel, devices, startedAt);
      if (JSON.stringify(this.#stats.missingTunnels) !== wasMissing) this.#observed(kernel);
      if (desired.isLearnedComplete && !plan.routes.isMigrating) this.#migrated(plan.routes.left);
    } catch (error) {
      this.#finish([messageOf(error)], true, this.#stats.missingTunnels);
    }
    this.#applied((this.#clock.now() - startedAt) / 1000);
    this.#reportGuard();
  }

  /** Changes the kernel to the desired state, and schedules the next pass if it needs one. */
  async #apply(
    desired: DesiredDataplane,
    kernel: KernelState,
    devices: ReadonlyMap<string, TunnelDevice>,
    startedAt: number,
  ): Promise<PassPlan> {
    // The table comes before anything that lets packets pass.
    await this.#applyTable(desired);
    const own = ownTunnels(this.#options.node, desired.tunnels, devices);
    const kinds = own.wanted.map(({ kind }) => kind);
    const problems = [
      ...this.#nftables.problems,
      ...this.#settings.problems,
      ...this.#sysctls.apply(desired.endpoints, kinds, kernel, this.#settings),
    ];
    const plan = planPass(desired, kernel, own);
    const result = await this.#changes.run(plan.changes, startedAt);
    const { errors, held } = result;
    const missingTunnels = { ...missingOf(own.wanted, errors), ...wantedOf(desired.tunnels, own.foreign) };
    const faults = errors.filter((error) => isFault(error, missingTunnels));
    this.#changes.refuse(result, faults, startedAt);
    const blocked = plan.routes.blocked.map(({ destination, reason }) => ({
      object: `route ${destination}`,
      reason,
    }));
    problems.push(...this.#changes.problems(startedAt, kernel), ...summarise(blocked, 'routes'));
    if (plan.changes.length > 0) this.#log.debug({ commands: plan.changes.map(renderChange) }, 'applied');
    this.#connections.flush(plan.routes.moved);
    this.#finish(problems, faults.length > 0 || this.#nftables.isUndecided, missingTunnels);
    // Routes can use a new device from the next pass on.
    const isNew = desired.tunnels.some(
      ({ kind }) => !(kind in missingTunnels) && !kernel.links.get(tunnels[kind].device)?.isUp,
    );
    if (isNew && faults.length === 0 && held.size === 0) this.#schedule(0);
    if (held.size > 0 || this.#sysctls.isHeld) this.#schedule(HELD_MS);
    return plan;
  }

  /** Applies the table. */
  async #applyTable({ ruleset }: DesiredDataplane): Promise<void> {
    const isChanged = await this.#table.apply(ruleset);
    // Another program has begun to change it repeatedly: report that.
    const isReported = 'table' in this.#stats.oscillating;
    if (isChanged && !isReported && 'table' in this.#changes.oscillation.counts(this.#clock.now()))
      this.#schedule(0);
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
        .run(async () => {
          if (!this.#desired) return;
          await this.#applyTable(this.#desired);
          this.#reportGuard();
        })
        .catch((error: unknown) => this.#log.error({ err: error }, 'nftables table not checked: retrying'));
      this.#scheduleTableCheck();
    });
  }

  /** Records how the pass ended. */
  #finish(
    problems: readonly string[],
    isFailed: boolean,
    missingTunnels: DataplaneStats['missingTunnels'],
  ): void {
    this.#stats = {
      applies: this.#stats.applies + 1,
      failures: this.#stats.failures + (isFailed ? 1 : 0),
      routes: this.#desired?.routes.length ?? 0,
      ipv6Routes: this.#desired?.routes.filter(({ destination }) => destination.includes(':')).length ?? 0,
      problems,
      missingTunnels,
      oscillating: this.#changes.oscillation.counts(this.#clock.now()),
    };
    const isNew = this.#problems.update(problems);
    if (isFailed || isNew) this.#schedule(RETRY_MS);
  }
}
