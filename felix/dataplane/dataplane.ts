/**
 * The dataplane: observe, compare, apply, and look again. Told the whole desired state by `setDesired`;
 * nothing is changed before the first one. It is the one writer of routes with our protocol numbers, of
 * neighbours on our interfaces and of their sysctls, of the tunnel devices and of our nftables table; the CNI
 * server makes and removes the pods' links.
 */
import os from 'node:os';
import { planTunnels, type Tunnel } from '../../ipip/device-plan.ts';
import { type TunnelKind, tunnelKinds, tunnels } from '../../ipip/tunnel.ts';

import type { Family } from '../../lib/cidr.ts';
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { Mutex } from '../../lib/mutex.ts';
import { type ObjectChange, Oscillation } from '../../lib/oscillation.ts';
import { type Ruleset, TABLE } from '../calc/ruleset.ts';
import { type Endpoint, isOwnVeth } from '../endpoint.ts';
import { Conntrack } from './conntrack.ts';
import { type BatchError, runBatch, runBridgeBatch } from './ip-batch.ts';
import { type InterfaceAddress, type KernelState, kernelFamilies, observeKernel } from './kernel.ts';
import { isAddress, isRelevant, KernelMonitor, linkOf } from './monitor.ts';
import type { Nftables } from './nftables.ts';
import { byObject, shownBy } from './object-changes.ts';
import { Problems } from './problems.ts';
import type { KernelRoute, Route } from './route.ts';
import type { Ownership } from './route-ownership.ts';
import { planRoutes } from './route-plan.ts';
import { summarise } from './summary.ts';
import { applySysctls, interfaceSysctls, nodeSysctls, tunnelSysctls } from './sysctls.ts';
import { isOffloadBroken, observeTunnels, ownTunnels, switchOffloadOff } from './tunnel-devices.ts';

export interface DesiredDataplane {
  readonly routes: readonly Route[];
  readonly endpoints: readonly Endpoint[];
  /** Addresses of this node on the pods' veths; any other host address there goes. */
  readonly addresses: readonly InterfaceAddress[];
  readonly tunnels: readonly Tunnel[];
  /** Our nftables table: the same object as long as it is the same table. */
  readonly ruleset: Ruleset;
  /** Whether learned routes are complete; while they are not, those in the kernel stay. */
  readonly isLearnedComplete: boolean;
  /** Which routes of the kernel are ours. */
  readonly ownership: Ownership;
  /** Whether a learned default route may stand before the host's own. */
  readonly mayReplaceDefault?: boolean;
}

export interface DataplaneStats {
  readonly applies: number;
  readonly failures: number;
  readonly routes: number;
  /** Of those, IPv6 routes. */
  readonly ipv6Routes: number;
  /** Why the kernel is not what it should be; empty when it is. */
  readonly problems: readonly string[];
  /** Tunnels that are wanted and cannot be had, with the kernel's reason. */
  readonly missingTunnels: Readonly<Partial<Record<TunnelKind, string>>>;
  /** Objects that are changed back again and again, by kind. */
  readonly oscillating: Readonly<Record<string, number>>;
}

/** Before there is a dataplane. */
export const noStats: DataplaneStats = {
  applies: 0,
  failures: 0,
  routes: 0,
  ipv6Routes: 0,
  problems: [],
  missingTunnels: {},
  oscillating: {},
};

export interface DataplaneModules {
  readonly clock: Clock;
  readonly log: Log;
  readonly nftables: Nftables;
  /**
   * Called after each look at the kernel and before it is compared: calls `setDesired` with what is known now. Else the
   * route of a pod that was added during the look would be taken for one that nobody wants.
   */
  readonly refresh: () => void;
  /** Called with what the kernel has, each time it has been looked at. */
  readonly observed: (kernel: KernelState) => void;
  /** Called when learned routes are complete and no route of ours has a former number; with those that may be others'. */
  readonly migrated: (left: readonly KernelRoute[]) => void;
  /** Called once, when our nftables table is in force, or it is known that it cannot be. */
  readonly guarded: () => void;
  /** Called after each apply, also a failed one, with its duration. */
  readonly applied?: (seconds: number) => void;
}

export interface DataplaneOptions {
  /** Name of this node, from which the MACs of its tunnel devices follow. */
  readonly node: string;
}

/** What may change while it runs. */
export interface DataplaneSettings {
  /** Full check without a hint, milliseconds. */
  readonly resyncMs: number;
  /** Families of the node and its pods: the switches of others are left alone. */
  readonly families: readonly Family[];
  /** Whether the node's own forwarding switches are set. */
  readonly hasForwarding: boolean;
  /** Whether tunnels must compute checksums themselves; undefined: as the kernel's version says. */
  readonly isOffloadBroken?: boolean | undefined;
  /** What is configured and cannot be done, a sentence each. */
  readonly problems: readonly string[];
}

/** Changes that come together are applied together. */
const COALESCE_MS = 10;
/** Hints come in bursts, most of them of our own changes: one look when the burst is over. */
const HINT_MS = 250;
const RETRY_MS = 1000;
/** A peer may bring so many routes that the kernel refuses; what is refused may be possible a minute later. */
const REFUSALS = { maxEntries: 100_000, maxDelayMs: 60_000 };
/** Objects that oscillate are looked at again after so long; most of them go on waiting. */
const HELD_MS = 5_000;
/** Between two looks at our nftables table: with an event of the kernel, and without. */
const TABLE_LOOK_MS = 1000;
const TABLE_CHECK_MS = 5000;

export class Dataplane {
  readonly #options: DataplaneOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #conntrack: Conntrack;
  readonly #monitor: KernelMonitor;
  readonly #refresh: DataplaneModules['refresh'];
  readonly #observed: DataplaneModules['observed'];
  readonly #migrated: DataplaneModules['migrated'];
  readonly #guarded: DataplaneModules['guarded'];
  readonly #applied: (seconds: number) => void;
  readonly #nftables: Nftables;
  readonly #oscillation = new Oscillation();
  /** Changes that the kernel refuses: they wait longer and longer too. */
  readonly #refusals = new Oscillation(REFUSALS);
  /** Its words about the commands of those that it refused last. */
  #refused: ReadonlyMap<string, BatchError> = new Map();
  readonly #mutex = new Mutex();
  #desired: DesiredDataplane | undefined;
  #routesText = '';
  #endpointsText = '';
  #settings: DataplaneSettings = { resyncMs: 0, families: [], hasForwarding: true, problems: [] };
  #cancelApply: (() => void) | undefined;
  #applyAt = 0;
  #cancelResync: (() => void) | undefined;
  /** Interfaces that have their sysctls, with their index then. Bounded by the node's pods. */
  readonly #configured = new Map<string, number>();
  #stats: DataplaneStats = { ...noStats, problems: ['not applied yet'] };
  readonly #problems: Problems;
  /** Of those, interfaces of pods that may send from further networks. */
  readonly #loose = new Set<string>();
  #isNodeConfigured = false;
  /** Whether a kernel switch waits, because another program sets it back. */
  #isSwitchHeld = false;
  #isTableCheckFull = false;
  #tableCheckedAt = 0;
  #cancelTableCheck: (() => void) | undefined;
  #isGuarded = false;
  #isClosed = false;
  /** At the last look, with their lengths. */
  #ipv6Addresses: ReadonlySet<string> | undefined;
  /** What the kernel has, not the node: routes of a family stay ours when the node loses its address. */
  readonly #families = kernelFamilies();

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
    this.#conntrack = new Conntrack(modules.log);
    this.#monitor = new KernelMonitor((line) => {
      // A link that flapped may have lost its sysctls: they are checked again.
      const link = linkOf(line);
      if (link) {
        this.#configured.delete(link);
        // Its routes and neighbours went with it, which is nobody's oscillation.
        const isOf = ({ object, change }: ObjectChange) =>
          !object.startsWith('link ') && change.includes(link) && change.split(/[ ;]+/).includes(link);
        this.#oscillation.forget(isOf);
        this.#refusals.forget(isOf);
      }
      if (isRelevant(line)) this.#schedule(isAddress(line) ? COALESCE_MS : HINT_MS);
    }, modules.log);
    this.#scheduleTableCheck();
  }

  /** Takes over settings; the first call starts the periodic check. */
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
    this.#isNodeConfigured = false;
    this.#configured.clear();
    this.#cancelResync?.();
    this.#scheduleResync();
    this.#schedule(HINT_MS);
  }

  get stats(): DataplaneStats {
    return this.#stats;
  }

  /** Replaces the desired state; it is applied a moment later. The same state again costs nothing. */
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
    // What concerns pods alone is in the kernel already, by the CNI server: this look only confirms it.
    const isTableNew = desired.ruleset !== this.#desired?.ruleset;
    const delayMs = text !== this.#routesText || isTableNew ? COALESCE_MS : HINT_MS;
    if (text === this.#routesText && endpoints === this.#endpointsText && !isTableNew) return;
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

  /** Ends it for good; nothing in the kernel changes any more. */
  close(): void {
    this.#isClosed = true;
    this.#desired = undefined;
    this.#cancelApply?.();
    this.#cancelResync?.();
    this.#cancelTableCheck?.();
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
      this.#isTableCheckFull = true;
      this.#schedule(0);
      this.#scheduleResync();
    });
  }

  async #apply(): Promise<void> {
    if (!this.#desired) return;
    const startedAt = this.#clock.now();
    try {
      const kernel = await observeKernel(this.#families);
      const devicesThere = await observeTunnels(kernel);
      this.#followAddresses(kernel);
      // First what was seen: MTU and state of the tunnels follow from it.
      this.#observed(kernel);
      this.#refresh();
      const desired: DesiredDataplane | undefined = this.#desired;
      if (!desired) return;
      // Before anything that lets packets pass.
      await this.#applyTable(desired);
      const own = ownTunnels(this.#options.node, desired.tunnels, devicesThere);
      const problems = [
        ...this.#nftables.problems,
        ...this.#settings.problems,
        ...this.#configure({ ...desired, tunnels: own.wanted }, kernel),
      ];
      const devices = planTunnels(own.wanted, own.present);
      const foreign = tunnelKinds.filter((kind) => kind in own.foreign).map((kind) => tunnels[kind].device);
      const plan = planRoutes(desired.routes, kernel.routes, {
        keepLearned: !desired.isLearnedComplete,
        ownAddresses: new Set(kernel.addresses.map(({ cidr }) => cidr.split('/')[0]!)),
        mayReplaceDefault: desired.mayReplaceDefault ?? false,
        hasLink: (name) => !foreign.includes(name) && (kernel.links.get(name)?.isUp ?? false),
        ownership: desired.ownership,
      });
      const { beforeRoutes, afterRoutes } = devices;
      const before = [...beforeRoutes.ip, ...addressCommands(desired.addresses, kernel)];
      const routes = [...plan.commands, ...neighbourCommands(desired.endpoints, kernel), ...afterRoutes.ip];
      const all = [...before, ...beforeRoutes.bridge, ...routes, ...afterRoutes.bridge];
      const changes = byObject(all);
      const held = new Set(
        changes
          .filter(
            ({ change }) =>
              !this.#oscillation.mayApply(change, startedAt) || !this.#refusals.mayApply(change, startedAt),
          )
          .flatMap((one) => one.commands),
      );
      const due = (commands: readonly string[]) => commands.filter((command) => !held.has(command));
      const errors = [
        ...(await runBatch(due(before))),
        ...(await runBridgeBatch(due(beforeRoutes.bridge))),
        ...(await runBatch(due(routes))),
        ...(await runBridgeBatch(due(afterRoutes.bridge))),
      ];
      const failed = new Set(errors.map(({ command }) => command));
      for (const { change, commands } of changes)
        if (!commands.some((command) => held.has(command) || failed.has(command)))
          this.#oscillation.applied(change, startedAt);
      problems.push(...this.#oscillation.problems(startedAt, (object) => shownBy(kernel, object)));
      const missingTunnels = { ...missingOf(own.wanted, errors), ...wantedOf(desired.tunnels, own.foreign) };
      const faults = errors.filter((error) => isFault(error, missingTunnels));
      const faulty = new Set(faults.map(({ command }) => command));
      for (const { change, commands } of changes)
        if (commands.some((command) => faulty.has(command))) this.#refusals.applied(change, startedAt);
      // What waits is refused still, as far as anybody knows.
      const waiting = [...held].flatMap((command) => this.#refused.get(command) ?? []);
      this.#refused = new Map([...faults, ...waiting].map((error) => [error.command, error]));
      const refused = [...this.#refused.values()];
      problems.push(
        ...summarise(
          refused.map(({ command, message }) => ({ object: `ip ${command}`, reason: message })),
          'commands',
        ),
        ...summarise(
          plan.blocked.map(({ destination, reason }) => ({ object: `route ${destination}`, reason })),
          'routes',
        ),
      );
      if (all.length > 0) this.#log.debug({ commands: all }, 'applied');
      if (plan.moved.length > 0) this.#conntrack.flush(plan.moved);
      const wasMissing = JSON.stringify(this.#stats.missingTunnels);
      this.#finish(startedAt, problems, faults.length > 0 || this.#nftables.isUndecided, missingTunnels);
      if (JSON.stringify(missingTunnels) !== wasMissing) this.#observed(kernel);
      // Routes may take a new device from the next look on.
      const isNew = desired.tunnels.some(
        ({ kind }) => !(kind in missingTunnels) && !kernel.links.get(tunnels[kind].device)?.isUp,
      );
      if (isNew && faults.length === 0 && held.size === 0) this.#schedule(0);
      if (held.size > 0 || this.#isSwitchHeld) this.#schedule(HELD_MS);
      if (desired.isLearnedComplete && !plan.isMigrating) this.#migrated(plan.left);
    } catch (error) {
      this.#finish(startedAt, [messageOf(error)], true, this.#stats.missingTunnels);
    }
  }

  /** Connections of pods that began while there was no IPv6 address begin again with the one that came. */
  #followAddresses({ addresses }: KernelState): void {
    const before = this.#ipv6Addresses;
    const usable = addresses.filter(({ cidr, isTentative }) => cidr.includes(':') && !isTentative);
    const now = usable.map(({ cidr }) => cidr);
    this.#ipv6Addresses = new Set(now);
    if (!before || now.every((cidr) => before.has(cidr))) return;
    void this.#conntrack
      .flushLinkLocal()
      .catch((error: unknown) =>
        this.#log.warn({ reason: messageOf(error) }, 'connections not looked through'),
      );
  }

  /** What somebody did to the table is seen here too, but not more often than is cheap. */
  async #applyTable({ ruleset }: DesiredDataplane): Promise<void> {
    const now = this.#clock.now();
    if (this.#isTableCheckFull || now - this.#tableCheckedAt >= TABLE_LOOK_MS) {
      const isChanged = await this.#nftables.check({ isFull: this.#isTableCheckFull });
      this.#isTableCheckFull = false;
      this.#tableCheckedAt = now;
      if (isChanged) this.#tableChanged(now);
    }
    await this.#nftables.apply(ruleset);
    if (!this.#nftables.isTried || this.#isGuarded) return;
    this.#isGuarded = true;
    this.#guarded();
  }

  /**
   * Somebody changed the table. One who does so again and again is reported; the table is put back at every look all the
   * same, which is every few seconds: without it pods may send what they like.
   */
  #tableChanged(now: number): void {
    this.#oscillation.applied({ object: `table ${TABLE}`, change: 'the rules of Cali' }, now);
    const isReported = 'table' in this.#stats.oscillating;
    if (!isReported && 'table' in this.#oscillation.counts(now)) this.#schedule(0);
  }

  /** The kernel has no events for us about tables: nft monitor would hold a copy of everybody's. */
  #scheduleTableCheck(): void {
    this.#cancelTableCheck = this.#clock.after(TABLE_CHECK_MS, () => {
      this.#mutex
        .run(async () => {
          if (this.#desired) await this.#applyTable(this.#desired);
        })
        .catch((error: unknown) => this.#log.error({ err: error }, 'nftables not looked at: trying again'));
      this.#scheduleTableCheck();
    });
  }

  #finish(
    startedAt: number,
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
      oscillating: this.#oscillation.counts(this.#clock.now()),
    };
    this.#applied((this.#clock.now() - startedAt) / 1000);
    const isNew = this.#problems.update(problems);
    if (isFailed || isNew) this.#schedule(RETRY_MS);
  }

  /** A switch that another program sets back each time is set less often. */
  readonly #maySet = (path: string, value: string, present: string): boolean => {
    const now = this.#clock.now();
    const change = { object: `sysctl ${path}`, change: `${present} to ${value}` };
    if (!this.#oscillation.mayApply(change, now)) {
      this.#isSwitchHeld = true;
      return false;
    }
    this.#oscillation.applied(change, now);
    return true;
  };

  /** Sysctls of the node and of interfaces that are new since the last full check. */
  #configure(desired: DesiredDataplane, kernel: KernelState): string[] {
    const { families } = this.#settings;
    const problems: string[] = [];
    this.#isSwitchHeld = false;
    if (!this.#isNodeConfigured && this.#settings.hasForwarding)
      problems.push(...applySysctls(nodeSysctls(families), this.#maySet));
    this.#isNodeConfigured = problems.length === 0;
    for (const { interfaceName, allowedSourcePrefixes = [] } of desired.endpoints) {
      const isLoose = allowedSourcePrefixes.length > 0;
      if (isLoose !== this.#loose.has(interfaceName)) this.#configured.delete(interfaceName);
      const link = kernel.links.get(interfaceName);
      if (!link?.isUp || this.#configured.get(interfaceName) === link.index) continue;
      if (isLoose) this.#loose.add(interfaceName);
      else this.#loose.delete(interfaceName);
      const faults = applySysctls(interfaceSysctls(interfaceName, families, isLoose), this.#maySet);
      if (faults.length === 0) this.#configured.set(interfaceName, link.index);
      problems.push(...faults);
    }
    for (const { kind } of desired.tunnels) problems.push(...this.#configureTunnel(kind, kernel));
    for (const name of this.#configured.keys()) if (!kernel.links.has(name)) this.#configured.delete(name);
    for (const name of this.#loose) if (!kernel.links.has(name)) this.#loose.delete(name);
    return problems;
  }

  /** Sysctls and offload of a tunnel device that is new since the last full check. */
  #configureTunnel(kind: TunnelKind, kernel: KernelState): string[] {
    const { device, family } = tunnels[kind];
    const link = kernel.links.get(device);
    if (!link || this.#configured.get(device) === link.index) return [];
    this.#configured.set(device, link.index);
    if (this.#settings.isOffloadBroken ?? isOffloadBroken(os.release()))
      void switchOffloadOff(device).then(
        (problem) => problem && this.#log.warn({ reason: problem }, 'tunnel device'),
      );
    const problems = applySysctls(tunnelSysctls(device, family), this.#maySet);
    if (problems.length > 0) this.#configured.delete(device);
    return problems;
  }
}

/** Tunnels whose device the kernel refuses to make, with its words. */
function missingOf(
  wanted: readonly Tunnel[],
  errors: readonly BatchError[],
): DataplaneStats['missingTunnels'] {
  return Object.fromEntries(
    wanted.flatMap(({ kind }) => {
      const refused = errors.find(
        ({ command, message }) =>
          command.startsWith(`link add name ${tunnels[kind].device} `) && !/File exists/.test(message),
      );
      return refused ? [[kind, refused.message]] : [];
    }),
  );
}

/** Of the reasons why tunnels cannot be had, those that matter. */
function wantedOf(
  wanted: readonly Tunnel[],
  reasons: DataplaneStats['missingTunnels'],
): DataplaneStats['missingTunnels'] {
  return Object.fromEntries(
    wanted.flatMap(({ kind }) => (reasons[kind] === undefined ? [] : [[kind, reasons[kind]]])),
  );
}

/** What is not a fault: an interface that went away meanwhile, and whatever needs a tunnel that cannot be had. */
function isFault({ command, message }: BatchError, missing: DataplaneStats['missingTunnels']): boolean {
  if (/No such (device|process)|Cannot find device/.test(message)) return false;
  // tunl0 appears by itself when the module is loaded.
  if (command.startsWith('link add name ') && /File exists/.test(message)) return false;
  return !(Object.keys(missing) as TunnelKind[]).some((kind) => command.includes(tunnels[kind].device));
}

/** Addresses of our own interfaces: what is missing comes, what nobody wants goes. */
export function addressCommands(wanted: readonly InterfaceAddress[], kernel: KernelState): string[] {
  const key = ({ device, cidr }: InterfaceAddress) => `${cidr} dev ${device}`;
  const present = kernel.addresses.filter(({ device }) => isOurs(kernel, device)).map(key);
  const missing = wanted.filter(({ device }) => kernel.links.has(device)).map(key);
  return [
    ...missing.filter((one) => !present.includes(one)).map((one) => `address add ${one}`),
    ...present.filter((one) => !missing.includes(one)).map((one) => `address del ${one}`),
  ];
}

function isOurs(kernel: KernelState, device: string): boolean {
  const link = kernel.links.get(device);
  return link !== undefined && isOwnVeth(link);
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
      .filter(({ device }) => isOurs(kernel, device))
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
