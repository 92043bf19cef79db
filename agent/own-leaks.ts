/**
 * What an earlier agent of this node left in IPAM: addresses and handles of ADDs that died half-way. The runtime may
 * never ask for their removal, and this agent knows every pod that it has, so it need not wait for the controllers.
 */
import type { Pod } from '../datastore/schema/core.ts';
import type { IPAMBlock, IPAMHandle } from '../datastore/schema/ipam.ts';
import { affinityOf, allocationsOf } from '../ipam/block.ts';

export interface LeakInput {
  readonly node: string;
  /** When this agent started, epoch milliseconds: what is younger is its own work. */
  readonly startedAt: number;
  readonly blocks: readonly IPAMBlock[];
  readonly handles: readonly IPAMHandle[];
  /** Handles of the pods that this agent knows. */
  readonly known: ReadonlySet<string>;
  readonly podOf: (namespace: string, name: string) => Pod | undefined;
}

/** Handles that nobody will release. */
export function ownLeaks({ node, startedAt, blocks, handles, known, podOf }: LeakInput): string[] {
  const isOld = (time: string | null | undefined) => Date.parse(time ?? '') < startedAt;
  const held = new Set<string>();
  const leaked = new Set<string>();
  for (const { spec } of blocks) {
    for (const { handleId, address, attributes } of allocationsOf(spec)) {
      held.add(handleId);
      const { namespace, pod: podName, timestamp } = attributes;
      // Not a pod's: the tunnels look after themselves.
      if (attributes['node'] !== node || !namespace || !podName || !isOld(timestamp) || known.has(handleId))
        continue;
      const pod = podOf(namespace, podName);
      // A pod that some other program has networked keeps its address.
      const isUsed = pod?.status.podIP === address || pod?.status.podIPs?.some(({ ip }) => ip === address);
      if (!isUsed) leaked.add(handleId);
    }
  }
  const own = new Set(
    blocks.filter(({ spec }) => spec.affinity === affinityOf(node)).map(({ spec }) => spec.cidr),
  );
  for (const { metadata, spec } of handles) {
    const cidrs = Object.keys(spec.block);
    const isOwn = cidrs.length > 0 && cidrs.every((cidr) => own.has(cidr));
    if (isOwn && !held.has(spec.handleID) && !known.has(spec.handleID) && isOld(metadata.creationTimestamp))
      leaked.add(spec.handleID);
  }
  return [...leaked];
}
