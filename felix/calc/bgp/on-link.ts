/** Which nodes share a link with this one, as far as the two Nodes say so (GTSM, RFC 5082). Pure. */
import { bitsOf, contains, type Family, mustCidr, parseAddress } from '../../../lib/cidr.ts';
import type { NodeAddress } from '../annotations.ts';
import type { NodeInfo } from '../topology.ts';

/**
 * Whether packets of a node must arrive with TTL 255: both nodes say that their addresses are in one subnet, and the
 * other says that it sends so. A pod's packets have lost one hop when they come from its node's address.
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
