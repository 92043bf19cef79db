/** Whether a reflecting node has clients. Until then, it stays in the mesh. */

import { parsePeerIP } from '../../../datastore/schema/bgp-fields.ts';
import type { BGPPeer } from '../../../datastore/schema/bgp-peer.ts';
import { parseSelector } from '../../../lib/selector.ts';
import type { NodeInfo } from '../../../model/node.ts';

type Test = (node: NodeInfo) => boolean;

/** A BGPPeer with parsed selectors. */
interface Peering {
  readonly isLocal: Test;
  readonly isRemote: Test;
  readonly isReversed: boolean;
}

/**
 * Whether BGPPeers give a reflecting node a session with an ordinary node, on both sides. Calico removes a node from
 * the mesh for the annotation alone (B-030), so a node that gets the annotation before the BGPPeer loses its routes.
 */
export function servesNodes(
  reflector: NodeInfo,
  nodes: readonly NodeInfo[],
  peers: readonly BGPPeer[],
): boolean {
  const peerings = peers.filter(({ spec }) => !spec.localWorkloadSelector).map(peeringOf);
  const towards = peerings.filter(({ isRemote }) => isRemote(reflector));
  const from = peerings.filter(({ isLocal }) => isLocal(reflector));
  return nodes.some((node) => {
    if (node.clusterId) return false;
    const asClient = towards.filter(({ isLocal }) => isLocal(node));
    const asReflector = from.filter(({ isRemote }) => isRemote(node));
    return (
      // One BGPPeer creates both sides (B-046), unless reversePeering is Manual.
      [...asClient, ...asReflector].some(({ isReversed }) => isReversed) ||
      (asClient.length > 0 && asReflector.length > 0)
    );
  });
}

function peeringOf({ spec }: BGPPeer): Peering {
  const { node, nodeSelector, peerIP, peerSelector, reversePeering } = spec;
  const address = peerIP ? parsePeerIP(peerIP)!.address : undefined;
  return {
    isLocal: node ? ({ name }) => name === node : selectedBy(nodeSelector || 'all()'),
    isRemote:
      address === undefined
        ? selectedBy(peerSelector)
        : ({ addresses }) => [addresses[4], addresses[6]].some((own) => own?.address === address),
    isReversed: reversePeering !== 'Manual',
  };
}

function selectedBy(text: string | undefined): Test {
  const selector = text === undefined ? undefined : parseSelector(text);
  return ({ labels }) => selector?.ok === true && selector.matches(labels);
}
