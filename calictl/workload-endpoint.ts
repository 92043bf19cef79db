/** Calico's WorkloadEndpoint, which calictl derives from a Pod: read-only, as in calicoctl on Kubernetes (Calico 1.1). */
import { z } from 'zod';
import { type Pod, podAnnotations } from '../datastore/schema/core.ts';
import {
  CALICO_GROUP,
  calicoKind,
  calicoObject,
  type ResourceDefinition,
} from '../datastore/schema/resource.ts';
import { workloadLabels } from '../felix/calc/bgp/workloads.ts';
import { hostCidr, parseAddress } from '../lib/cidr.ts';
import { podInterfaceName } from '../model/endpoint.ts';

const workloadEndpoint = calicoObject(
  'WorkloadEndpoint',
  z.strictObject({
    orchestrator: z.literal('k8s'),
    node: z.string(),
    pod: z.string(),
    containerID: z.string().optional(),
    endpoint: z.literal('eth0'),
    interfaceName: z.string(),
    profiles: z.array(z.string()),
    ipNetworks: z.array(z.string()),
    serviceAccountName: z.string().optional(),
  }),
);
export type WorkloadEndpoint = z.output<typeof workloadEndpoint>;

export const workloadEndpointKind: ResourceDefinition<typeof workloadEndpoint> = {
  ...calicoKind(
    {
      kind: 'WorkloadEndpoint',
      plural: 'workloadendpoints',
      singular: 'workloadendpoint',
      shortNames: ['wep', 'weps'],
    },
    workloadEndpoint,
    [],
  ),
  namespaced: true,
};

/** Returns the endpoint of a pod; undefined for pods in the host's network and pods without a node. */
export function workloadEndpointOf(pod: Pod): WorkloadEndpoint | undefined {
  const { metadata, spec } = pod;
  const { nodeName: node, serviceAccountName } = spec;
  if (!node || spec.hostNetwork) return undefined;
  const namespace = metadata.namespace ?? 'default';
  const containerID = metadata.annotations?.[podAnnotations.containerID];
  const { uid, resourceVersion, creationTimestamp } = metadata;
  return {
    apiVersion: `${CALICO_GROUP}/v3`,
    kind: 'WorkloadEndpoint',
    metadata: {
      name: endpointName(node, metadata.name),
      namespace,
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      ...(creationTimestamp ? { creationTimestamp } : {}),
      labels: workloadLabels(pod, namespace, {}),
    },
    spec: {
      orchestrator: 'k8s',
      node,
      pod: metadata.name,
      ...(containerID ? { containerID } : {}),
      endpoint: 'eth0',
      interfaceName: podInterfaceName(namespace, metadata.name),
      profiles: [
        `kns.${namespace}`,
        ...(serviceAccountName ? [`ksa.${namespace}.${serviceAccountName}`] : []),
      ],
      ipNetworks: networksOf(pod),
      ...(serviceAccountName ? { serviceAccountName } : {}),
    },
  };
}

/** Returns the name of an endpoint: `node-k8s-pod-eth0`, with the hyphens of the names doubled. */
export function endpointName(node: string, pod: string): string {
  const escaped = (name: string) => name.replaceAll('-', '--');
  return `${escaped(node)}-k8s-${escaped(pod)}-eth0`;
}

/** Returns the networks of a pod, none if it finished. The CNI plugin's annotation overrides the kubelet's status. */
function networksOf({ metadata, status }: Pod): string[] {
  if (status.phase === 'Succeeded' || status.phase === 'Failed') return [];
  const annotated =
    metadata.annotations?.[podAnnotations.podIPs] ?? metadata.annotations?.[podAnnotations.podIP];
  const reported = status.podIPs?.map(({ ip }) => ip) ?? (status.podIP ? [status.podIP] : []);
  const addresses = annotated ? annotated.split(',') : reported;
  return addresses.flatMap((address) => hostNetwork(address.trim()));
}

function hostNetwork(text: string): string[] {
  const [address = ''] = text.split('/');
  return parseAddress(address) ? [hostCidr(address)] : [];
}
