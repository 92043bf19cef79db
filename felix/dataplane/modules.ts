/** What the dataplane needs from outside, and the two events that it exchanges with the agent's loop. */
import type { MissingTunnels } from '../../ipip/tunnelling.ts';
import type { Kernel, KernelState, RulesTable } from '../../kernel/port.ts';
import type { Log } from '../../lib/log.ts';
import type { Time } from '../../lib/time.ts';
import type { KernelRoute } from '../../model/route.ts';
import type { DesiredDataplane } from './desired.ts';

export interface DataplaneModules {
  readonly clock: Pick<Time, 'now' | 'after' | 'random'>;
  readonly log: Log;
  readonly kernel: Kernel;
  readonly nftables: RulesTable;
  /**
   * Answers an observation, once per pass and before anything changes, with the desired state; undefined: as last set.
   * The desired state depends on the observation, as the tunnels' MTU does. And a pod that was added meanwhile must be
   * part of it, because its route would look stale otherwise. Must not throw.
   */
  readonly observed: (kernel: KernelState) => DesiredDataplane | undefined;
  /** Reports the end of a pass. Must not throw. */
  readonly applied: (report: PassReport) => void;
  /** Called once, when our nftables table is in force or known to be impossible. */
  readonly guarded: () => void;
}

/** How a pass ended. */
export interface PassReport {
  readonly seconds: number;
  /** What was observed; undefined when that failed. */
  readonly kernel: KernelState | undefined;
  readonly missingTunnels: MissingTunnels;
  /**
   * Routes with a former number that may be another program's, once learned routes are complete and none of our routes
   * has a former number. Undefined before.
   */
  readonly left: readonly KernelRoute[] | undefined;
}

export interface DataplaneOptions {
  /** Name of this node; the MACs of its tunnel devices are derived from it. */
  readonly node: string;
}
