/** Derives the BGP view of nodes from core Nodes and Calico's annotations (Calico reference 1.6). */

import type { ObjectProblem } from '../datastore/object-problem.ts';
import { type Node, nodeAnnotations } from '../datastore/schema/core.ts';
import type { Family } from '../lib/cidr.ts';
import { Annotations, type NodeAddress, type TunnelEnd } from './node-annotations.ts';
import { type TunnelKind, tunnelKinds } from './tunnel.ts';

export interface NodeInfo {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly addresses: Readonly<Partial<Record<Family, NodeAddress>>>;
  readonly asNumber: number | undefined;
  /** Dotted quad. */
  readonly clusterId: string | undefined;
  /** Whether its BGP speaker sends with TTL 255, so that peers on its link can require it (RFC 5082). */
  readonly sendsTtl255?: boolean;
  /** Tunnels that the node reports as up, with its address in each. */
  readonly tunnels: Readonly<Partial<Record<TunnelKind, TunnelEnd>>>;
}

/** Reads a Node; a malformed annotation counts as absent (Calico 1.6). */
export function nodeInfo(node: Node): NodeInfo {
  return readNode(node).info;
}

/** Returns node names by address. */
export function nodeNames(nodes: readonly NodeInfo[]): ReadonlyMap<string, string> {
  return new Map(
    nodes.flatMap(({ name, addresses }) =>
      Object.values(addresses).map(({ address }): [string, string] => [address, name]),
    ),
  );
}

/** Returns a problem for each malformed annotation of a Node. */
export function nodeProblems(node: Node): readonly ObjectProblem[] {
  return readNode(node).problems;
}

interface ReadNode {
  readonly info: NodeInfo;
  readonly problems: readonly ObjectProblem[];
}

/** A version of a Node is an object that never changes, and each calculation reads it several times. */
const read = new WeakMap<Node, ReadNode>();

function readNode(node: Node): ReadNode {
  let found = read.get(node);
  if (!found) {
    found = parseNode(node);
    read.set(node, found);
  }
  return found;
}

function parseNode({ metadata }: Node): ReadNode {
  const annotations = new Annotations({ kind: 'Node', name: metadata.name }, metadata.annotations ?? {});
  const addresses: Partial<Record<Family, NodeAddress>> = {};
  for (const [family, key] of [
    [4, nodeAnnotations.ipv4Address],
    [6, nodeAnnotations.ipv6Address],
  ] as const) {
    const found = annotations.nodeAddress(key, family);
    if (found) addresses[family] = found;
  }
  const ends: Partial<Record<TunnelKind, TunnelEnd>> = {};
  for (const kind of tunnelKinds) {
    const end = annotations.tunnelEnd(kind, metadata.name);
    if (end) ends[kind] = end;
  }
  const info: NodeInfo = {
    name: metadata.name,
    labels: metadata.labels ?? {},
    addresses,
    asNumber: annotations.asNumber(),
    clusterId: annotations.clusterId(),
    sendsTtl255: annotations.sendsTtl255(),
    tunnels: ends,
  };
  return { info, problems: annotations.problems };
}
