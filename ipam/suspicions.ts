/**
 * Confirms findings that persist: every audit during a whole grace period must report the same object in the same
 * version. Calico reference I-030, I-034.
 */
import type { Audit, Leak } from './audit.ts';

export interface Grace {
  /** For pods' addresses, handles, affinities and empty blocks, in milliseconds. */
  readonly leakMs: number;
  /** For addresses and blocks of nodes that do not exist, in milliseconds. */
  readonly nodeMs: number;
}

export class Suspicions {
  /** Time when each finding first appeared. Bounded by the last audit's findings. */
  #since = new Map<string, number>();

  get count(): number {
    return this.#since.size;
  }

  /** Records an audit at a time in milliseconds and returns the confirmed findings. */
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

/** Returns a key that differs between successive allocations of an address. */
function keyOf({ address, handleId, sequence }: Leak): string {
  return `address ${address} ${handleId} ${sequence}`;
}
