/** What the dataplane needs from outside, and what it reports to its caller: before a pass changes anything, or after it. */
import type { Kernel, KernelState, RulesTable } from '../../kernel/port.ts';
import type { Log } from '../../lib/log.ts';
import type { Time } from '../../lib/time.ts';
import type { KernelRoute } from '../../model/route.ts';

export interface DataplaneModules {
  readonly clock: Pick<Time, 'now' | 'after' | 'random'>;
  readonly log: Log;
  readonly kernel: Kernel;
  readonly nftables: RulesTable;
  /**
   * Called after each observation of the kernel, before the comparison: calls `setDesired` with the current state.
   * Otherwise the route of a pod that was added during the observation would look stale and be removed.
   */
  readonly refresh: () => void;
  /** Called with the kernel's state after each observation, and again after a pass that changed `missingTunnels`. */
  readonly observed: (kernel: KernelState) => void;
  /**
   * Called when learned routes are complete and none of our routes has a former number. `left` are the routes with a
   * former number that may be another program's.
   */
  readonly migrated: (left: readonly KernelRoute[]) => void;
  /** Called once, after the first pass with our nftables table in force or known to be impossible. */
  readonly guarded: () => void;
  /** Called with the duration after each apply, including failed ones. */
  readonly applied?: (seconds: number) => void;
}

export interface DataplaneOptions {
  /** Name of this node; the MACs of its tunnel devices are derived from it. */
  readonly node: string;
}
