/** The part that sets sysctls of the node, the pods' interfaces and the tunnel devices, and the tunnels' offload. */
import { isOffloadBroken } from '../../ipip/devices.ts';
import type { Kernel, KernelState } from '../../kernel/port.ts';
import type { Log } from '../../lib/log.ts';
import type { Oscillation } from '../../lib/oscillation.ts';
import type { Clock } from '../../lib/time.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import { interfaceSysctls, nodeSysctls, tunnelSysctls } from '../../model/sysctls.ts';
import { type TunnelKind, tunnels } from '../../model/tunnel.ts';
import type { DataplaneSettings } from './desired.ts';

export interface SysctlsModules {
  readonly clock: Clock;
  readonly log: Log;
  readonly kernel: Kernel;
  readonly oscillation: Oscillation;
}

export class Sysctls {
  readonly #modules: SysctlsModules;
  /** Interfaces with sysctls set, and the interface's index at that time. Bounded by the node's pods. */
  readonly #configured = new Map<string, number>();
  /** Interfaces configured for pods that may send from additional networks. */
  readonly #loose = new Set<string>();
  #isNodeConfigured = false;
  #isHeld = false;

  constructor(modules: SysctlsModules) {
    this.#modules = modules;
  }

  /** Whether a sysctl is delayed because another program changes it back. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** Checks all sysctls at the next `apply`. */
  recheck(): void {
    this.#isNodeConfigured = false;
    this.#configured.clear();
  }

  /** Checks an interface's sysctls at the next `apply`: a link that flapped may have lost them. */
  forget(link: string): void {
    this.#configured.delete(link);
  }

  /** Sets sysctls of the node and of interfaces that are new since the last full check. Returns the problems. */
  apply(
    endpoints: readonly Endpoint[],
    kinds: readonly TunnelKind[],
    kernel: KernelState,
    settings: DataplaneSettings,
  ): string[] {
    const { families } = settings;
    const port = this.#modules.kernel;
    const problems: string[] = [];
    this.#isHeld = false;
    if (!this.#isNodeConfigured && settings.hasForwarding)
      problems.push(...port.applySysctls(nodeSysctls(families), this.#maySet));
    this.#isNodeConfigured = problems.length === 0;
    for (const { interfaceName, allowedSourcePrefixes = [] } of endpoints) {
      const isLoose = allowedSourcePrefixes.length > 0;
      if (isLoose !== this.#loose.has(interfaceName)) this.#configured.delete(interfaceName);
      const link = kernel.links.get(interfaceName);
      if (!link?.isUp || this.#configured.get(interfaceName) === link.index) continue;
      if (isLoose) this.#loose.add(interfaceName);
      else this.#loose.delete(interfaceName);
      const faults = port.applySysctls(interfaceSysctls(interfaceName, families, isLoose), this.#maySet);
      if (faults.length === 0) this.#configured.set(interfaceName, link.index);
      problems.push(...faults);
    }
    for (const kind of kinds) problems.push(...this.#configureTunnel(kind, kernel, settings));
    for (const name of this.#configured.keys()) if (!kernel.links.has(name)) this.#configured.delete(name);
    for (const name of this.#loose) if (!kernel.links.has(name)) this.#loose.delete(name);
    return problems;
  }

  /** Sets sysctls and offload of a tunnel device that is new since the last full check. */
  #configureTunnel(kind: TunnelKind, { links }: KernelState, settings: DataplaneSettings): string[] {
    const { kernel, log } = this.#modules;
    const { device, family } = tunnels[kind];
    const link = links.get(device);
    if (!link || this.#configured.get(device) === link.index) return [];
    this.#configured.set(device, link.index);
    if (settings.isOffloadBroken ?? isOffloadBroken(kernel.release))
      void kernel
        .switchOffloadOff(device)
        .then((problem) => problem && log.warn({ reason: problem }, 'tunnel device'));
    const problems = kernel.applySysctls(tunnelSysctls(device, family), this.#maySet);
    if (problems.length > 0) this.#configured.delete(device);
    return problems;
  }

  /** Whether to set a sysctl now. One that another program keeps changing back is set less often. */
  readonly #maySet = (path: string, value: string, present: string): boolean => {
    const { clock, oscillation } = this.#modules;
    const now = clock.now();
    const change = { object: `sysctl ${path}`, change: `${present} to ${value}` };
    if (!oscillation.mayApply(change, now)) {
      this.#isHeld = true;
      return false;
    }
    oscillation.applied(change, now);
    return true;
  };
}
