/**
 * The part that keeps the tunnel devices with their addresses, neighbours and forwarding entries. Rows are keyed by
 * device.
 */
import { planTunnels, type Tunnel, type TunnelDevice } from '../../ipip/device-plan.ts';
import { type OwnTunnels, ownTunnels } from '../../ipip/devices.ts';
import type { MissingTunnels } from '../../ipip/tunnelling.ts';
import type { Kernel, KernelState } from '../../kernel/port.ts';
import { type TunnelKind, tunnelKinds, tunnels } from '../../model/tunnel.ts';
import type { Judge } from './changes.ts';
import { ChangesPart } from './changes-part.ts';
import type { DesiredDataplane } from './desired.ts';
import { faultsOf, missingOf, wantedOf } from './faults.ts';
import { shownBy } from './object-changes.ts';
import type { Context, Observation, Problem, Urgency } from './part.ts';
import { pick, Rows } from './rows.ts';

export class Tunnels extends ChangesPart {
  readonly name = 'tunnels';
  readonly #node: string;
  readonly #desired = new Rows<Tunnel>();
  #observed: ReadonlyMap<string, TunnelDevice> = new Map();
  #kernel: KernelState | undefined;
  /** Without devices of other programs that have our names. Undefined when a row is new. */
  #own: OwnTunnels | undefined;
  /** What `plan` compared. */
  #planned: readonly Tunnel[] = [];
  /** Kinds whose device the kernel refused to create since the last observation, with its message. */
  #refused: MissingTunnels = {};

  /** `node`: name of this node, from which the MACs of its devices are derived. */
  constructor(node: string, kernel: Pick<Kernel, 'apply'>) {
    super(kernel);
    this.#node = node;
  }

  setDesired(desired: DesiredDataplane): Urgency {
    const rows = new Map(desired.tunnels.map((tunnel) => [tunnels[tunnel.kind].device, tunnel]));
    if (this.#desired.replace(rows).length === 0) return 'none';
    this.#own = undefined;
    return 'now';
  }

  observe({ kernel, devices }: Observation): void {
    this.#kernel = kernel;
    this.#observed = devices;
    this.#own = undefined;
    this.#refused = {};
  }

  plan(_context: Context, devices?: ReadonlySet<string>): void {
    const { wanted, present } = this.#divide();
    const some = wanted.filter(({ kind }) => devices?.has(tunnels[kind].device) ?? true);
    this.#planned = some;
    const { beforeRoutes, afterRoutes } = planTunnels(some, pick(present, devices));
    this.changes.plan(beforeRoutes, afterRoutes);
  }

  protected override judge({ isUsable }: Context): Judge {
    return (errors) => {
      this.#refused = { ...this.#refused, ...missingOf(this.#planned, errors) };
      return faultsOf(isUsable)(errors);
    };
  }

  problems(now: number): Problem[] {
    const kernel = this.#kernel;
    return this.changes.problems(now, (object) => kernel && shownBy(kernel, object));
  }

  /** Whether a device can be used: not when this kernel refuses it, or another program owns it. */
  isUsable(device: string): boolean {
    const kind = tunnelKinds.find((one) => tunnels[one].device === device);
    return kind === undefined || (!(kind in this.#divide().foreign) && !(kind in this.#refused));
  }

  /** Wanted tunnels that cannot be created, with the reason. */
  get missing(): MissingTunnels {
    return { ...this.#refused, ...wantedOf([...this.#desired.all.values()], this.#divide().foreign) };
  }

  /** Whether a wanted device was not up when observed, so that routes can use it only after another observation. */
  get isAwaited(): boolean {
    const { missing } = this;
    const isUp = (kind: TunnelKind) => this.#kernel?.links.get(tunnels[kind].device)?.isUp ?? false;
    return [...this.#desired.all.values()].some(({ kind }) => !(kind in missing) && !isUp(kind));
  }

  #divide(): OwnTunnels {
    this.#own ??= ownTunnels(this.#node, [...this.#desired.all.values()], this.#observed);
    return this.#own;
  }
}
