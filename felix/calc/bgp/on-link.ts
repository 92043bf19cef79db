/** Which nodes share a link with this one according to both Nodes (GTSM, RFC 5082). Pure. */
import { bitsOf, contains, type Family, mustCidr, parseAddress } from '../../../lib/cidr.ts';
import type { NodeInfo } from '../../../model/node.ts';
import type { NodeAddress } from '../../../model/node-annotations.ts';

/**
 * Whether packets from a node must arrive with TTL 255: the subnets of both nodes contain the other's address, and that
 * node declares that it sends TTL 255. Packets of a pod that leave with its node's address have lost one hop.
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
