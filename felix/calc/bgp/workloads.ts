/** Pods of this node that are BGP peers themselves (Calico reference 2.5, localWorkloadSelector). */
import type { BGPConfiguration, BGPPeer } from '../../../datastore/schema/bgp.ts';
import { familyOf, hostCidr } from '../../../lib/cidr.ts';
import { parseSelector } from '../../../lib/selector.ts';
import type { NodeInfo } from '../topology.ts';
import { defaultsOf } from './cluster.ts';
import { selectsNode } from './selection.ts';

export interface Workload {
  /** Host side of its veth. */
  readonly interfaceName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly addresses: readonly string[];
}

/** Pods that a BGPPeer chooses; none where it chooses none. */
export function selectedWorkloads({ spec }: BGPPeer, workloads: readonly Workload[]): Workload[] {
  const selector = spec.localWorkloadSelector ? parseSelector(spec.localWorkloadSelector) : undefined;
  return selector?.ok ? workloads.filter(({ labels }) => selector.matches(labels)) : [];
}

/**
 * The node's address towards such pods, the same on every node (Calico B-067: localWorkloadPeeringIPV4 and V6), on
 * the host side of each one's veth and in each family that the pod has.
 */
export function workloadPeeringAddresses(
  node: Pick<NodeInfo, 'name' | 'labels'>,
  peers: readonly BGPPeer[],
  configurations: readonly BGPConfiguration[],
  workloads: readonly Workload[],
): { device: string; cidr: string }[] {
  const { localWorkloadPeeringIPV4, localWorkloadPeeringIPV6 } = defaultsOf(configurations);
  const own = [localWorkloadPeeringIPV4, localWorkloadPeeringIPV6].filter((one) => one !== undefined);
  if (own.length === 0) return [];
  const chosen = new Set(
    peers.filter(({ spec }) => selectsNode(spec, node)).flatMap((peer) => selectedWorkloads(peer, workloads)),
  );
  return [...chosen].flatMap(({ interfaceName: device, addresses }) =>
    own
      .filter((address) => addresses.some((one) => familyOf(one) === familyOf(address)))
      .map((address) => ({ device, cidr: hostCidr(address) })),
  );
}
