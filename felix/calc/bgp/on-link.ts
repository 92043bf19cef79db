/** Which nodes are directly connected, so that their packets can be required to have TTL 255 (RFC 5082). Pure. */
import { bitsOf, contains, type Family, mustCidr, parseAddress } from '../../../lib/cidr.ts';
import type { NodeInfo } from '../../../model/node.ts';
import type { NodeAddress } from '../../../model/node-annotations.ts';

/**
 * Whether packets from a node must arrive with TTL 255. The subnet of each node must contain the other's address, and
 * that node must declare that it sends with TTL 255. This rejects its pods: even with the node's address as source,
 * their packets arrive with a TTL below 255.
 */
export function isOnLink(
  self: Pick<NodeInfo, 'addresses'>,
  node: Pick<NodeInfo, 'addresses' | 'sendsTtl255'>,
  family: Family,
): boolean {
  const [own, other] = [self.addresses[family], node.addresses[family]];
  if (!node.sendsTtl255 || !own || !other) return false;
  return isIn(own, other, family) && isIn(other, own, family);
}

function isIn({ address }: NodeAddress, subnet: NodeAddress, family: Family): boolean {
  return (
    subnet.length < bitsOf(family) &&
    contains(mustCidr(`${subnet.address}/${subnet.length}`), parseAddress(address)!)
  );
}
