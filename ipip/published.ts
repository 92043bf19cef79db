/** A tunnel's address on the Node, where other nodes read it. Pure. */
import type { NodeInfo } from '../model/node.ts';
import { type TunnelKind, tunnels, vtepMac } from '../model/tunnel.ts';

/**
 * Returns the address on the Node; undefined without one. An address whose MAC address is not that of the device does
 * not equal any address.
 */
export function publishedAddress({ name, tunnels: ends }: NodeInfo, kind: TunnelKind): string | undefined {
  const { macAnnotation, family } = tunnels[kind];
  const end = ends[kind];
  if (!end || !macAnnotation || end.mac === vtepMac(name, family)) return end?.address;
  return `${end.address} with MAC address ${end.mac}`;
}

/** Returns the annotations that publish an address on the Node, or remove it when it is undefined. */
export function tunnelAnnotations(
  node: string,
  kind: TunnelKind,
  address: string | undefined,
): Record<string, string | null> {
  const { annotation, macAnnotation, family } = tunnels[kind];
  const annotations: Record<string, string | null> = { [annotation]: address ?? null };
  if (macAnnotation) annotations[macAnnotation] = address === undefined ? null : vtepMac(node, family);
  return annotations;
}
