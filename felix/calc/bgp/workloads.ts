/** Pods of this node that are BGP peers (Calico reference 2.5, localWorkloadSelector). */
import type { BGPConfiguration } from '../../../datastore/schema/bgp-configuration.ts';
import type { BGPPeer } from '../../../datastore/schema/bgp-peer.ts';
import type { Pod } from '../../../datastore/schema/core.ts';
import { familyOf, hostCidr } from '../../../lib/cidr.ts';
import { parseSelector } from '../../../lib/selector.ts';
import type { NodeInfo } from '../../../model/node.ts';
import { defaultsOf } from './cluster.ts';
import { selectsNode } from './selection.ts';

export interface Workload {
  /** Host side of the pod's veth pair. */
  readonly interfaceName: string;
  /** The result of workloadLabels. */
  readonly labels: Readonly<Record<string, string>>;
  readonly addresses: readonly string[];
}

/** Prefixes of system labels, which show a pod's origin. The pod's own labels with them are ignored. */
const SYSTEM_PREFIXES = ['projectcalico.org/', 'pcns.', 'pcsa.'];
const NAMESPACE_PREFIX = 'pcns.';

/**
 * Returns a pod's labels for selectors: its own ones, and the system labels of Calico's workload endpoints. A user who
 * can create a pod chooses its own labels, but not those of its namespace and service account.
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

/** Returns the pods that a BGPPeer selects; none without localWorkloadSelector. */
export function selectedWorkloads({ spec }: BGPPeer, workloads: readonly Workload[]): Workload[] {
  const selector = spec.localWorkloadSelector ? parseSelector(spec.localWorkloadSelector) : undefined;
  return selector?.ok ? workloads.filter(({ labels }) => selector.matches(labels)) : [];
}

/**
 * Returns the node's addresses towards selected pods, the same on every node (Calico B-067: localWorkloadPeeringIPV4
 * and V6). They are on the host side of each pod's veth pair, in each family of the pod.
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
