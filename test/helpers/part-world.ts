/** One part of the dataplane on a fake kernel. */
import type { DesiredDataplane } from '../../felix/dataplane/desired.ts';
import type { Context, Part } from '../../felix/dataplane/part.ts';
import { observeTunnels } from '../../ipip/devices.ts';
import type { Kernel } from '../../kernel/port.ts';
import { DEFAULT_PROTOCOLS, NO_FORMER } from '../../model/route-protocols.ts';
import { FakeKernel } from './fake-kernel.ts';

const nothing: DesiredDataplane = {
  ...{ routes: [], endpoints: [], addresses: [], tunnels: [], isLearnedComplete: true },
  ruleset: { whole: [], guard: [], nat: [] },
  ownership: { protocols: DEFAULT_PROTOCOLS, former: NO_FORMER, ranges: [] },
};

export class PartWorld<P extends Part> {
  readonly kernel = new FakeKernel();
  readonly part: P;
  /** Milliseconds. */
  now = 0;
  /** Devices that cannot be used. */
  unusable: readonly string[] = [];
  hasForwarding = true;

  constructor(makePart: (kernel: FakeKernel) => P) {
    this.part = makePart(this.kernel);
  }

  /** Sets the desired state: nothing but this. */
  want(desired: Partial<DesiredDataplane>) {
    return this.part.setDesired({ ...nothing, ...desired });
  }

  /** Observes the kernel and plans. Returns the pending work. */
  async plan(keys?: readonly string[]): Promise<readonly string[]> {
    await this.observe();
    this.part.plan(this.context, keys && new Set(keys));
    return this.part.pending;
  }

  async observe(): Promise<void> {
    await this.part.inspect?.(this.now);
    const kernel = await this.kernel.observe([4, 6]);
    const devices = await observeTunnels(kernel, this.kernel);
    this.part.observe({ kernel, devices });
  }

  /** Observes, plans and applies. Returns what was pending. */
  async pass(): Promise<readonly string[]> {
    const pending = await this.plan();
    await this.part.apply('first', this.context);
    await this.part.apply('last', this.context);
    return pending;
  }

  problems(): string[] {
    return this.part.problems(this.now).map(({ object, reason }) => `${object}: ${reason}`);
  }

  get context(): Context {
    const { now, unusable, hasForwarding } = this;
    return {
      now,
      settings: { resyncMs: 0, families: [4, 6], hasForwarding, problems: [] },
      isUsable: (device) => !unusable.includes(device),
    };
  }
}

/** A kernel that accepts every change and has nothing: for plans that are never applied. */
export const noKernel: Pick<Kernel, 'apply'> = { apply: async () => [] };
