/**
 * Finds addresses and handles of interrupted ADDs that an earlier agent of this node left in IPAM. The runtime may
 * never request their removal. This agent has a list of all its pods, so it need not wait for the controllers.
 */
import type { Pod } from '../datastore/schema/core.ts';
import type { IPAMBlock, IPAMHandle } from '../datastore/schema/ipam.ts';
import { affinityOf, allocationsOf } from './block.ts';

export interface LeakInput {
  readonly node: string;
  /** When this agent started, epoch milliseconds. Newer entries are its own. */
  readonly startedAt: number;
  readonly blocks: readonly IPAMBlock[];
  readonly handles: readonly IPAMHandle[];
  /** Handles of this agent's pods. */
  readonly known: ReadonlySet<string>;
  readonly podOf: (namespace: string, name: string) => Pod | undefined;
}

/** Returns handles that no pod will release. */
export function ownLeaks({ node, startedAt, blocks, handles, known, podOf }: LeakInput): string[] {
  const isOld = (time: string | null | undefined) => Date.parse(time ?? '') < startedAt;
  const held = new Set<string>();
  const leaked = new Set<string>();
  for (const { spec } of blocks) {
    for (const { handleId, address, attributes } of allocationsOf(spec)) {
      held.add(handleId);
      const { namespace, pod: podName, timestamp } = attributes;
      // Skip addresses of tunnels, which have their own cleanup.
      if (attributes['node'] !== node || !namespace || !podName || !isOld(timestamp) || known.has(handleId))
        continue;
      const pod = podOf(namespace, podName);
      // A pod that another program connected keeps its address.
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
