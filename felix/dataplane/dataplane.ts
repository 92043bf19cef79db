/**
 * The dataplane: observe, compare, apply, and look again. Told the whole desired state by `setDesired`;
 * nothing is changed before the first one. It is the one writer of routes (protocols 80 and 186), of
 * neighbours on `cali*` interfaces and of their sysctls; the CNI server makes and removes the links.
 */

import type { Family } from '../../lib/cidr.ts';
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { Mutex } from '../../lib/mutex.ts';
import { type Endpoint, INTERFACE_PREFIX } from '../endpoint.ts';
import { Conntrack } from './conntrack.ts';
import { runBatch } from './ip-batch.ts';
import { type KernelState, observeKernel } from './kernel.ts';
import { isRelevant, KernelMonitor, linkOf } from './monitor.ts';
import type { Route } from './route.ts';
import { planRoutes } from './route-plan.ts';
import { applySysctls, interfaceSysctls, nodeSysctls } from './sysctls.ts';

export interface DesiredDataplane {
  readonly routes: readonly Route[];
  readonly endpoints: readonly Endpoint[];
  /** Whether learned routes are complete; while they are not, those in the kernel stay. */
  readonly isLearnedComplete: boolean;
}

export interface DataplaneStats {
  readonly applies: number;
  readonly failures: number;
  readonly lastApplySeconds: number;
  readonly routes: number;
  /** Why the kernel is not what it should be; empty when it is. */
  readonly problems: readonly string[];
}

export interface DataplaneOptions {
  readonly families: readonly Family[];
}

/** What may change while it runs. */
export interface DataplaneSettings {
  /** Full check without a hint, milliseconds. */
  readonly resyncMs: number;
  /** Whether the node's own forwarding switches are set. */
  readonly hasForwarding: boolean;
}

/** Changes that come together are applied together. */
const COALESCE_MS = 10;
/** Hints come in bursts, most of them of our own changes: one look when the burst is over. */
const HINT_MS = 250;
const RETRY_MS = 1000;

export class Dataplane {
  readonly #options: DataplaneOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #conntrack: Conntrack;
  readonly #monitor: KernelMonitor;
  readonly #mutex = new Mutex();
  #desired: DesiredDataplane | undefined;
  #routesText = '';
  #endpointsText = '';
  #settings: DataplaneSettings = { resyncMs: 0, hasForwarding: true };
  #cancelApply: (() => void) | undefined;
  #applyAt = 0;
  #cancelResync: (() => void) | undefined;
  /** Interfaces that have their sysctls, with their index then. Bounded by the node's pods. */
  readonly #configured = new Map<string, number>();
  #stats: DataplaneStats = {
    applies: 0,
    failures: 0,
    lastApplySeconds: 0,
    routes: 0,
    problems: ['not applied yet'],
  };
  #lastProblems = '';
  #isNodeConfigured = false;

  constructor(options: DataplaneOptions, modules: { clock: Clock; log: Log }) {
    this.#options = options;
    this.#clock = modules.clock;
    this.#log = modules.log;
    this.#conntrack = new Conntrack(modules.log);
    this.#monitor = new KernelMonitor((line) => {
      // A link that flapped may have lost its sysctls: they are checked again.
      const link = linkOf(line);
      if (link) this.#configured.delete(link);
      if (isRelevant(line)) this.#schedule(HINT_MS);
    }, modules.log);
  }

  /** Takes over settings; the first call starts the periodic check. */
  configure(settings: DataplaneSettings): void {
    if (
      settings.resyncMs === this.#settings.resyncMs &&
      settings.hasForwarding === this.#settings.hasForwarding
    )
      return;
    this.#settings = settings;
    this.#isNodeConfigured = false;
    this.#cancelResync?.();
    this.#scheduleResync();
    this.#schedule(HINT_MS);
  }

  get stats(): DataplaneStats {
    return this.#stats;
  }

  /** Replaces the desired state; it is applied a moment later. The same state again costs nothing. */
  setDesired(desired: DesiredDataplane): void {
    const text = JSON.stringify([
      desired.routes.filter(({ device }) => device === undefined),
      desired.isLearnedComplete,
    ]);
    const endpoints = JSON.stringify(desired.endpoints);
    // What concerns pods alone is in the kernel already, by the CNI server: this look only confirms it.
    const delayMs = text !== this.#routesText ? COALESCE_MS : HINT_MS;
    if (text === this.#routesText && endpoints === this.#endpointsText) return;
    this.#routesText = text;
    this.#endpointsText = endpoints;
    // The link of a deleted pod took its route along: its connections end here.
    const moved = movedAddresses(this.#desired?.endpoints ?? [], desired.endpoints);
    if (moved.length > 0) this.#conntrack.flush(moved);
    this.#desired = desired;
    this.#schedule(delayMs);
  }

  /** Applies now; resolves when the kernel has been changed. */
  apply(): Promise<void> {
    return this.#mutex.run(() => this.#apply());
  }

  close(): void {
    this.#cancelApply?.();
    this.#cancelResync?.();
    this.#monitor.close();
    this.#conntrack.close();
  }

  /** Applies after the delay, or earlier when that was asked for already. */
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

  #scheduleResync(): void {
    const jitter = 0.9 + Math.random() * 0.2;
    this.#cancelResync = this.#clock.after(this.#settings.resyncMs * jitter, () => {
      this.#configured.clear();
      this.#isNodeConfigured = false;
      this.#schedule(0);
      this.#scheduleResync();
    });
  }

  async #apply(): Promise<void> {
    const desired = this.#desired;
    if (!desired) return;
    const startedAt = this.#clock.now();
    try {
      const kernel = await observeKernel(this.#options.families);
      const problems = this.#configure(desired, kernel);
      const plan = planRoutes(desired.routes, kernel.routes, {
        keepLearned: !desired.isLearnedComplete,
        hasLink: (name) => kernel.links.get(name)?.isUp ?? false,
      });
      const commands = [...plan.commands, ...neighbourCommands(desired.endpoints, kernel)];
      const errors = await runBatch(commands);
      // An interface that went away meanwhile is no fault: the event of its end is on its way.
      const faults = errors.filter(
        ({ message }) => !/No such (device|process)|Cannot find device/.test(message),
      );
      problems.push(...faults.map(({ command, message }) => `ip ${command}: ${message}`));
      problems.push(...plan.blocked.map(({ destination, reason }) => `route ${destination}: ${reason}`));
      if (commands.length > 0) this.#log.debug({ commands }, 'applied');
      if (plan.moved.length > 0) this.#conntrack.flush(plan.moved);
      this.#finish(startedAt, desired, problems, faults.length > 0);
    } catch (error) {
      this.#finish(startedAt, desired, [messageOf(error)], true);
    }
  }

  #finish(
    startedAt: number,
    desired: DesiredDataplane,
    problems: readonly string[],
    isFailed: boolean,
  ): void {
    this.#stats = {
      applies: this.#stats.applies + 1,
      failures: this.#stats.failures + (isFailed ? 1 : 0),
      lastApplySeconds: (this.#clock.now() - startedAt) / 1000,
      routes: desired.routes.length,
      problems,
    };
    const text = problems.join('\n');
    if (text !== '' && text !== this.#lastProblems) {
      // While a pod is being added, its endpoint is known a moment before its interface.
      const isPassing = problems.every((problem) => problem.endsWith(' is not there'));
      this.#log[isPassing ? 'debug' : 'warn']({ problems }, 'the kernel is not what it should be');
    }
    this.#lastProblems = text;
    if (isFailed) this.#schedule(RETRY_MS);
  }

  /** Sysctls of the node and of interfaces that are new since the last full check. */
  #configure(desired: DesiredDataplane, kernel: KernelState): string[] {
    const { families } = this.#options;
    const problems: string[] = [];
    if (!this.#isNodeConfigured && this.#settings.hasForwarding)
      problems.push(...applySysctls(nodeSysctls(families)));
    this.#isNodeConfigured = problems.length === 0;
    for (const { interfaceName } of desired.endpoints) {
      const link = kernel.links.get(interfaceName);
      if (!link?.isUp || this.#configured.get(interfaceName) === link.index) continue;
      const faults = applySysctls(interfaceSysctls(interfaceName, families));
      if (faults.length === 0) this.#configured.set(interfaceName, link.index);
      problems.push(...faults);
    }
    for (const name of this.#configured.keys()) if (!kernel.links.has(name)) this.#configured.delete(name);
    return problems;
  }
}

/** A permanent neighbour per pod address, so that the node never has to ask (Calico F-013). */
export function neighbourCommands(endpoints: readonly Endpoint[], kernel: KernelState): string[] {
  const commands: string[] = [];
  const wanted = new Map<string, { address: string; device: string; mac: string }>();
  for (const { interfaceName: device, addresses, mac } of endpoints) {
    if (!kernel.links.has(device)) continue;
    for (const address of addresses) wanted.set(`${address}%${device}`, { address, device, mac });
  }
  const present = new Map(
    kernel.neighbours
      .filter(({ device }) => device.startsWith(INTERFACE_PREFIX))
      .map((neighbour) => [`${neighbour.address}%${neighbour.device}`, neighbour]),
  );
  for (const [key, { address, device, mac }] of wanted) {
    if (present.get(key)?.mac !== mac)
      commands.push(`neigh replace ${address} lladdr ${mac} dev ${device} nud permanent`);
  }
  for (const [key, { address, device }] of present) {
    if (!wanted.has(key)) commands.push(`neigh del ${address} dev ${device}`);
  }
  return commands;
}

/** Addresses that have left an interface: gone, or on another one now (Calico reference 3.3, conntrack). */
export function movedAddresses(before: readonly Endpoint[], after: readonly Endpoint[]): string[] {
  const now = new Map(
    after.flatMap(({ interfaceName, addresses }) => addresses.map((address) => [address, interfaceName])),
  );
  return before.flatMap(({ interfaceName, addresses }) =>
    addresses.filter((address) => now.get(address) !== interfaceName),
  );
}
