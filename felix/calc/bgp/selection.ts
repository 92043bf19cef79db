/** Which nodes a BGPPeer selects (Calico B-040, B-042). */
import type { BGPPeer } from '../../../datastore/schema/bgp-peer.ts';
import { parseSelector } from '../../../lib/selector.ts';
import type { NodeInfo } from '../../../model/node.ts';

/** Whether a BGPPeer is global, without node or nodeSelector. */
export function isGlobal({ spec }: BGPPeer): boolean {
  return !spec.node && !spec.nodeSelector;
}

export function selectsNode(spec: BGPPeer['spec'], node: Pick<NodeInfo, 'name' | 'labels'>): boolean {
  if (spec.node) return spec.node === node.name;
  if (!spec.nodeSelector) return true;
  const selector = parseSelector(spec.nodeSelector);
  return selector.ok && selector.matches(node.labels);
}
