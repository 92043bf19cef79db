/** What the plugin asks IPAM for: families, pools and exact addresses of one ADD. */
import type { AssignRequest } from '../ipam/address-source.ts';
import type { Family } from '../lib/cidr.ts';
import type { Attachment } from './attachment.ts';
import type { AnnotationRequest } from './pod-annotations.ts';
import type { NetworkConfiguration } from './types.ts';

/** Properties of the pod and its namespace that an ADD needs. */
export interface Ask {
  readonly annotations: AnnotationRequest;
  readonly namespaceLabels: Readonly<Record<string, string>>;
}

/** Returns IPAM's handle for the addresses of an attachment. */
export function handleOf({ name }: { name: string }, containerId: string): string {
  return `${name}.${containerId}`;
}

/**
 * Returns the families of a pod's addresses: those that the network configuration assigns, and for the others, those
 * of the node.
 */
export function familiesOf({ ipam }: NetworkConfiguration, nodeFamilies: readonly Family[]): Family[] {
  const has = (value: boolean | string | undefined, family: Family) =>
    value === undefined ? nodeFamilies.includes(family) : String(value) === 'true';
  const families: Family[] = [];
  if (has(ipam?.assign_ipv4, 4)) families.push(4);
  if (has(ipam?.assign_ipv6, 6)) families.push(6);
  return families;
}

/** Returns the request for the addresses of an attachment. The pod's annotations override the network configuration. */
export function assignRequest(
  { network, containerId, pod }: Attachment,
  { annotations: asked, namespaceLabels }: Ask,
  { node, families, now }: { node: string; families: readonly Family[]; now: Date },
): AssignRequest {
  return {
    handleId: handleOf(network, containerId),
    attributes: {
      node,
      timestamp: now.toISOString(),
      ...(pod ? { namespace: pod.namespace, pod: pod.name } : { container: containerId }),
    },
    families: asked.families ?? families,
    namespaceLabels,
    pools: {
      4: asked.pools[4] ?? network.ipam?.ipv4_pools ?? [],
      6: asked.pools[6] ?? network.ipam?.ipv6_pools ?? [],
    },
    ...(asked.addresses ? { addresses: asked.addresses } : {}),
  };
}
