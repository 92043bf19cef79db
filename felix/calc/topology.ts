/** Nodes as BGP sees them: from core Nodes and Calico's annotations (Calico reference 1.6). */

import { type Node, nodeAnnotations } from '../../datastore/schema/core.ts';
import { parseAsNumber } from '../../datastore/schema/fields.ts';
import { type Family, formatAddress, parseCidr } from '../../lib/cidr.ts';

export interface NodeAddress {
  readonly address: string;
  /** Prefix length of the node's subnet; that of a host when the annotation has none. */
  readonly length: number;
}

export interface NodeInfo {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly addresses: Readonly<Partial<Record<Family, NodeAddress>>>;
  readonly asNumber: number | undefined;
  readonly clusterId: string | undefined;
}

/** Reads a Node; a malformed annotation counts as absent (Calico 1.6). */
export function nodeInfo({ metadata }: Node): NodeInfo {
  const annotations = metadata.annotations ?? {};
  const addresses: Partial<Record<Family, NodeAddress>> = {};
  for (const [family, key] of [
    [4, nodeAnnotations.ipv4Address],
    [6, nodeAnnotations.ipv6Address],
  ] as const) {
    const cidr = parseCidr(annotations[key] ?? '');
    if (cidr?.family === family) addresses[family] = { address: formatAddress(cidr), length: cidr.length };
  }
  const asNumber = annotations[nodeAnnotations.asNumber];
  return {
    name: metadata.name,
    labels: metadata.labels ?? {},
    addresses,
    asNumber: asNumber === undefined ? undefined : parseAsNumber(asNumber),
    clusterId: annotations[nodeAnnotations.routeReflectorClusterID] || undefined,
  };
}
