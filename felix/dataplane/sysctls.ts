/**
 * The part that sets sysctls of the node, the pods' interfaces and the tunnel devices, and the tunnels' offload. Rows
 * are keyed by interface; the node's own has the key `node`. A target is checked when its interface is new, and at full
 * checks.
 */
import { isOffloadBroken } from '../../ipip/devices.ts';
import type { Kernel, KernelState, Link } from '../../kernel/port.ts';
import type { Log } from '../../lib/log.ts';
import { Oscillation } from '../../lib/oscillation.ts';
import { interfaceSysctls, nodeSysctls, type Sysctl, tunnelSysctls } from '../../model/sysctls.ts';
import { type TunnelKind, tunnels } from '../../model/tunnel.ts';
import type { DataplaneSettings, DesiredDataplane } from './desired.ts';
import type { Context, Observation, Part, Phase, Problem, Urgency } from './part.ts';
import { pick, Rows } from './rows.ts';

export interface SysctlsModules {
  readonly log: Log;
  readonly kernel: Pick<Kernel, 'applySysctls' | 'release' | 'switchOffloadOff'>;
}

/** Whose sysctls to set. `isLoose`: the pod may send from additional networks. */
type Target =
  | { readonly kind: 'node' }
  | { readonly kind: 'pod'; readonly isLoose: boolean }
  | { readonly kind: 'tunnel'; readonly tunnel: TunnelKind };

/** A target whose sysctls are correct as far as is known. */
interface Configured {
  /** The interface's index at that time; undefined for the node. */
  readonly index: number | undefined;
  readonly isLoose: boolean;
}

const NODE = 'node';

export class Sysctls implements Part {
  readonly name = 'sysctls';
  readonly #modules: SysctlsModules;
  readonly #oscillation = new Oscillation();
  readonly #desired = new Rows<Target>();
  /** Bounded by the node's interfaces. */
  readonly #configured = new Map<string, Configured>();
  /** Indexes of the interfaces that were set last, by name. Bounded by the node's interfaces. */
  readonly #indexes = new Map<string, number | undefined>();
  #observed: KernelState['links'] = new Map();
  #due: ReadonlyMap<string, Target> = new Map();
  readonly #faults = new Map<string, readonly string[]>();
  #isHeld = false;

  readonly isFailed = false;

  constructor(modules: SysctlsModules) {
    this.#modules = modules;
  }

  setDesired(desired: DesiredDataplane): Urgency {
    return this.#desired.replace(targetsOf(desired)).length > 0 ? 'confirm' : 'none';
  }

  observe({ kernel }: Observation): void {
    this.#observed = kernel.links;
    for (const known of [this.#configured, this.#indexes])
      for (const name of known.keys()) if (name !== NODE && !this.#observed.has(name)) known.delete(name);
  }

  plan({ isUsable, settings }: Context, keys?: ReadonlySet<string>): void {
    this.#isHeld = false;
    this.#due = new Map(
      [...pick(this.#desired.all, keys)].filter(
        ([name, target]) =>
          isUsable(name) && this.#isPossible(name, target, settings) && !this.#isConfigured(name, target),
      ),
    );
    for (const name of this.#faults.keys()) if (!this.#due.has(name)) this.#faults.delete(name);
  }

  get pending(): string[] {
    return [...this.#due.keys()].map((name) => `sysctl ${name}`);
  }

  async apply(phase: Phase, { now, settings }: Context): Promise<void> {
    if (phase !== 'first') return;
    for (const [name, target] of this.#due) {
      const link = this.#observed.get(name);
      // The kernel gives each new interface its defaults: setting them again is not oscillation.
      if (this.#indexes.get(name) !== link?.index) this.#oscillation.forget(name);
      this.#indexes.set(name, link?.index);
      if (target.kind === 'tunnel') this.#switchOffloadOff(name, settings);
      const faults = this.#modules.kernel.applySysctls(
        sysctlsOf(name, target, settings),
        (path, value, present) => this.#maySet(name, path, value, present, now),
      );
      if (faults.length > 0) this.#faults.set(name, faults);
      else {
        this.#faults.delete(name);
        this.#configured.set(name, { index: link?.index, isLoose: isLoose(target) });
      }
    }
  }

  problems(now: number): Problem[] {
    const oscillating = this.#oscillation
      .problems(now)
      .map(({ object, sentence }) => ({ object, reason: sentence, subject: '' }));
    const faults = [...this.#faults].flatMap(([name, sentences]) =>
      sentences.map((reason) => ({ object: `sysctls of ${name}`, reason, subject: '' })),
    );
    return [...oscillating, ...faults];
  }

  /** Whether a sysctl is delayed because another program changes it back. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  oscillating(now: number): Readonly<Record<string, number>> {
    return this.#oscillation.counts(now);
  }

  /** Checks an interface's sysctls at the next `apply`: a link that flapped may have lost them. */
  forget(link: string): void {
    this.#configured.delete(link);
  }

  /** Checks all sysctls at the next `apply`. */
  recheck(): void {
    this.#configured.clear();
  }

  #isPossible(name: string, { kind }: Target, { hasForwarding }: DataplaneSettings): boolean {
    if (kind === 'node') return hasForwarding;
    const link: Link | undefined = this.#observed.get(name);
    return link !== undefined && (kind === 'tunnel' || link.isUp);
  }

  #isConfigured(name: string, target: Target): boolean {
    const configured = this.#configured.get(name);
    return (
      configured !== undefined &&
      configured.index === this.#observed.get(name)?.index &&
      configured.isLoose === isLoose(target)
    );
  }

  #switchOffloadOff(device: string, settings: DataplaneSettings): void {
    const { kernel, log } = this.#modules;
    if (!(settings.isOffloadBroken ?? isOffloadBroken(kernel.release))) return;
    void kernel
      .switchOffloadOff(device)
      .then((problem) => problem && log.warn({ reason: problem }, 'tunnel device'));
  }

  /** Whether to set a sysctl now. One that another program keeps changing back is set less often. */
  #maySet(name: string, path: string, value: string, present: string, now: number): boolean {
    const change = { object: `sysctl ${path}`, change: `${present} to ${value}`, devices: [name] };
    if (!this.#oscillation.mayApply(change, now)) {
      this.#isHeld = true;
      return false;
    }
    this.#oscillation.applied(change, now);
    return true;
  }
}

function targetsOf({ endpoints, tunnels: wanted }: DesiredDataplane): ReadonlyMap<string, Target> {
  return new Map<string, Target>([
    [NODE, { kind: 'node' }],
    ...endpoints.map(({ interfaceName, allowedSourcePrefixes = [] }): [string, Target] => [
      interfaceName,
      { kind: 'pod', isLoose: allowedSourcePrefixes.length > 0 },
    ]),
    ...wanted.map(({ kind }): [string, Target] => [tunnels[kind].device, { kind: 'tunnel', tunnel: kind }]),
  ]);
}

function sysctlsOf(name: string, target: Target, { families }: DataplaneSettings): Sysctl[] {
  switch (target.kind) {
    case 'node':
      return nodeSysctls(families);
    case 'pod':
      return interfaceSysctls(name, families, target.isLoose);
    case 'tunnel':
      return tunnelSysctls(name, tunnels[target.tunnel].family);
  }
}

function isLoose(target: Target): boolean {
  return target.kind === 'pod' && target.isLoose;
}
