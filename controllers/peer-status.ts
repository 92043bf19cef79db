/**
 * BGPPeer.status: whether both sides of a peering exist. A BGPPeer that selects nothing is valid, and the most common
 * reason for a missing session.
 */

import { parsePeerIP } from '../datastore/schema/bgp-fields.ts';
import type { BGPPeer } from '../datastore/schema/bgp-peer.ts';
import { selectsNode } from '../felix/calc/bgp/selection.ts';
import { counted } from '../lib/counted.ts';
import { parseSelector } from '../lib/selector.ts';
import type { NodeInfo } from '../model/node.ts';
import type { Condition } from './conditions.ts';

export interface PeeringInput {
  readonly nodes: readonly NodeInfo[];
  /** Services that represent route reflectors (felix/calc/bgp/reflectors.ts). */
  readonly reflectors: readonly Pick<NodeInfo, 'name' | 'labels'>[];
  /** Names of existing BGPFilters. */
  readonly filters: ReadonlySet<string>;
}

/** Returns the condition Resolved of a peer. */
export function resolved({ spec }: BGPPeer, { nodes, reflectors, filters }: PeeringInput): Condition {
  const no = (reason: string, message: string): Condition => ({
    type: 'Resolved',
    status: 'False',
    reason,
    message,
  });
  const missing = (spec.filters ?? []).filter((name) => !filters.has(name));
  if (missing.length > 0)
    return no(
      'FilterNotFound',
      `missing BGPFilter ${missing.join(', ')}: create it, or remove it from spec.filters`,
    );
  const local = nodes.filter((node) => selectsNode(spec, node));
  if (local.length === 0)
    return no(
      'NoNode',
      spec.node
        ? `Node ${spec.node} does not exist: set spec.node to the name of a Node`
        : spec.nodeSelector
          ? `no node has labels that match ${spec.nodeSelector}: label one, or change spec.nodeSelector`
          : 'the cluster has no nodes',
    );
  const yes = (others: string): Condition => ({
    type: 'Resolved',
    status: 'True',
    reason: 'Resolved',
    message: `${counted(local.length, 'node')} with ${others}`,
  });
  if (spec.localWorkloadSelector) return yes(`pods that match ${spec.localWorkloadSelector}`);
  if (spec.peerIP) {
    const { address } = parsePeerIP(spec.peerIP) ?? { address: spec.peerIP };
    return yes(address);
  }
  const selector = parseSelector(spec.peerSelector ?? '');
  const others = [...nodes, ...reflectors].filter(({ labels }) => selector.ok && selector.matches(labels));
  const isAlone = local.length === 1 && others.length === 1 && local[0]?.name === others[0]?.name;
  if (others.length === 0 || isAlone)
    return no(
      'NoPeer',
      `no ${isAlone ? 'other ' : ''}node or reflector Service has labels that match ${spec.peerSelector}: label a Node, or the ` +
        'Service of a route reflector (in a namespace of CALI_REFLECTOR_NAMESPACES), or change spec.peerSelector',
    );
  const asNode = others.filter((other) => nodes.some(({ name }) => name === other.name)).length;
  const parts = [
    ...(asNode > 0 ? [counted(asNode, 'node')] : []),
    ...(asNode < others.length ? [counted(others.length - asNode, 'reflector Service')] : []),
  ];
  return yes(parts.join(' and '));
}
