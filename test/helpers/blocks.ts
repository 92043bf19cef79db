/** IPAM blocks as a datastore holds them. */
import { type IPAMBlock, ipamBlockKind, nameOfCidr } from '../../datastore/schema/ipam.ts';
import { assignNext, newBlock } from '../../ipam/block.ts';

/** An address: its handle, and the attributes of its owner. */
export type Holder = readonly [handleId: string, attributes: Readonly<Record<string, string>>];

/** Returns a block of a node, or of none, with an address for each holder, in order. */
export function blockOf(node: string | undefined, cidr: string, ...holders: readonly Holder[]): IPAMBlock {
  let spec = newBlock(cidr, node ?? '', 1);
  for (const [handleId, attributes] of holders) {
    const assigned = assignNext(spec, { handleId, attributes }, () => false);
    if (!assigned) throw new Error(`block ${cidr} has no free address`);
    spec = assigned.block;
  }
  const { affinity: _, ...unowned } = spec;
  return ipamBlockKind.schema.parse({
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPAMBlock',
    metadata: { name: nameOfCidr(cidr) },
    spec: node === undefined ? unowned : spec,
  });
}

/** Returns the holder of a pod's address in namespace `default`. */
export function podHolder(pod: string, node = 'n1'): Holder {
  return [pod, { node, namespace: 'default', pod }];
}
