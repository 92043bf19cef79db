/** Pods of this node that are BGP peers themselves (Calico reference 2.5, localWorkloadSelector). */
import type { BGPConfiguration, BGPPeer } from '../../../datastore/schema/bgp.ts';
import type { Pod } from '../../../datastore/schema/core.ts';
import { familyOf, hostCidr } from '../../../lib/cidr.ts';
import { parseSelector } from '../../../lib/selector.ts';
import type { NodeInfo } from '../topology.ts';
import { defaultsOf } from './cluster.ts';
import { selectsNode } from './selection.ts';

export interface Workload {
  /** Host side of its veth. */
  readonly interfaceName: string;
  /** As workloadLabels gives them. */
  readonly labels: Readonly<Record<string, string>>;
  readonly addresses: readonly string[];
}

/** Labels with these prefixes say where a pod comes from: the pod's own text counts for nothing there. */
const SYSTEM_PREFIXES = ['projectcalico.org/', 'pcns.', 'pcsa.'];
const NAMESPACE_PREFIX = 'pcns.';

/**
 * A pod's labels as selectors see them: its own, and those that Calico's workload endpoints have of the system. Whoever
 * may create a pod chooses its own labels, but not its namespace, the labels of that, or its service account.
 */
export function workloadLabels(
  { metadata, spec }: Pod,
  namespace: string,
  namespaceLabels: Readonly<Record<string, string>>,
): Record<string, string> {
  const own = Object.entries(metadata.labels ?? {}).filter(
    ([name]) => !SYSTEM_PREFIXES.some((prefix) => name.startsWith(prefix)),
  );
  const labels = new Map(own);
  for (const [name, value] of Object.entries(namespaceLabels)) labels.set(NAMESPACE_PREFIX + name, value);
  labels.set('projectcalico.org/namespace', namespace);
  labels.set('projectcalico.org/orchestrator', 'k8s');
  if (spec.serviceAccountName) labels.set('projectcalico.org/serviceaccount', spec.serviceAccountName);
  return Object.fromEntries(labels);
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
