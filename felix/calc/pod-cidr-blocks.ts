/** Represents each node's podCIDRs as blocks, for host-local IPAM (Calico: `usePodCidr`). */
import type { Node } from '../../datastore/schema/core.ts';
import type { BlockAffinity, IPAMBlock } from '../../datastore/schema/ipam.ts';
import { canonicalCidr } from '../../lib/cidr.ts';

const apiVersion = 'projectcalico.org/v3';

/** Returns a block and a confirmed affinity for each range of each node. They exist only in memory. */
export function podCidrBlocks(nodes: readonly Node[]): { blocks: IPAMBlock[]; affinities: BlockAffinity[] } {
  const ranges = nodes.flatMap(({ metadata, spec }) =>
    podCidrsOf(spec).map((cidr) => ({ node: metadata.name, cidr })),
  );
  return {
    blocks: ranges.map(({ node, cidr }) => ({
      apiVersion,
      kind: 'IPAMBlock',
      metadata: { name: `${node}-${cidr}` },
      spec: {
        cidr,
        affinity: `host:${node}`,
        allocations: [],
        unallocated: [],
        attributes: [],
        sequenceNumber: 0,
        sequenceNumberForAllocation: {},
        deleted: false,
      },
    })),
    affinities: ranges.map(({ node, cidr }) => ({
      apiVersion,
      kind: 'BlockAffinity',
      metadata: { name: `${node}-${cidr}` },
      spec: { state: 'confirmed', node, type: 'host', cidr, deleted: false },
    })),
  };
}

/** Returns a Node's podCIDRs as canonical text. */
export function podCidrsOf({ podCIDR, podCIDRs }: Node['spec']): string[] {
  return (podCIDRs ?? (podCIDR ? [podCIDR] : [])).flatMap((text) => canonicalCidr(text) ?? []);
}
