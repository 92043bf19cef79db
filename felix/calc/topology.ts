/** Nodes as BGP sees them: from core Nodes and Calico's annotations (Calico reference 1.6). */

import { type Node, nodeAnnotations } from '../../datastore/schema/core.ts';
import { parseAsNumber } from '../../datastore/schema/fields.ts';
import { type TunnelKind, tunnelKinds, tunnels, vtepMac } from '../../ipip/tunnel.ts';
import { type Family, formatAddress, parseAddress, parseCidr } from '../../lib/cidr.ts';

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
  /** Tunnels that the node says are up, with its address in each. */
  readonly tunnels: Readonly<Partial<Record<TunnelKind, TunnelEnd>>>;
}

export interface TunnelEnd {
  readonly address: string;
  /** Of a VXLAN device. */
  readonly mac: string;
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
    tunnels: tunnelEnds(metadata.name, annotations),
  };
}

function tunnelEnds(name: string, annotations: Readonly<Record<string, string>>): NodeInfo['tunnels'] {
  const ends: Partial<Record<TunnelKind, TunnelEnd>> = {};
  for (const kind of tunnelKinds) {
    const { annotation, macAnnotation, family } = tunnels[kind];
    const address = parseAddress(annotations[annotation] ?? '');
    if (address?.family !== family) continue;
    const mac = (macAnnotation && annotations[macAnnotation]) || vtepMac(name, family);
    ends[kind] = { address: formatAddress(address), mac };
  }
  return ends;
}
