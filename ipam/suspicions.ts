/**
 * Suspicion becomes certainty when it lasts: what an audit finds is confirmed once each look for a whole grace period
 * found the same thing in the same version. Calico reference I-030, I-034.
 */
import type { Audit, Leak } from './audit.ts';

export interface Grace {
  /** For addresses of pods, handles, affinities and empty blocks, milliseconds. */
  readonly leakMs: number;
  /** For everything of a node that does not exist, milliseconds. */
  readonly nodeMs: number;
}

export class Suspicions {
  /** When each suspicion came up. Bounded by what the last audit found. */
  #since = new Map<string, number>();

  get count(): number {
    return this.#since.size;
  }

  /** Takes an audit at a moment (milliseconds) and gives back what of it is certain by now. */
  confirm(found: Audit, now: number, grace: Grace): Audit {
    const before = this.#since;
    const since = new Map<string, number>();
    const lasts = (key: string, graceMs: number) => {
      const first = before.get(key) ?? now;
      since.set(key, first);
      return now - first >= graceMs;
    };
    const version = ({ metadata }: { metadata: { name: string; resourceVersion?: string | undefined } }) =>
      `${metadata.name}@${metadata.resourceVersion}`;
    const certain: Audit = {
      leaks: found.leaks.filter((leak) => lasts(keyOf(leak), leak.isNodeGone ? grace.nodeMs : grace.leakMs)),
      spareHandles: found.spareHandles.filter((one) => lasts(`handle ${version(one)}`, grace.leakMs)),
      spareAffinities: found.spareAffinities.filter((one) => lasts(`affinity ${version(one)}`, grace.leakMs)),
      orphans: found.orphans.filter((one) => lasts(`orphan ${one.metadata.name}`, grace.nodeMs)),
      spareBlocks: found.spareBlocks.filter((one) => lasts(`block ${version(one)}`, grace.leakMs)),
    };
    this.#since = since;
    return certain;
  }
}

/** One allocation, not the next one of the same address. */
function keyOf({ address, handleId, sequence }: Leak): string {
  return `address ${address} ${handleId} ${sequence}`;
}
