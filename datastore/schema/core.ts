/**
 * Node, Pod and Namespace of the core group, the parts that are read here, and Calico's annotations
 * on core Nodes and Pods (Calico reference 1.6, C-015).
 */
import { z } from 'zod';
import { ageColumn, objectMeta, type ResourceDefinition } from './resource.ts';

const condition = z.looseObject({ type: z.string(), status: z.string() });

const node = z.looseObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Node'),
  metadata: objectMeta,
  spec: z
    .looseObject({ podCIDR: z.string().optional(), podCIDRs: z.array(z.string()).optional() })
    .default({}),
  status: z
    .looseObject({
      addresses: z.array(z.looseObject({ type: z.string(), address: z.string() })).optional(),
      conditions: z.array(condition).optional(),
    })
    .default({}),
});
export type Node = z.output<typeof node>;

const pod = z.looseObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Pod'),
  metadata: objectMeta,
  spec: z.looseObject({ nodeName: z.string().optional(), hostNetwork: z.boolean().optional() }).default({}),
  status: z
    .looseObject({
      phase: z.string().optional(),
      podIP: z.string().optional(),
      podIPs: z.array(z.looseObject({ ip: z.string() })).optional(),
    })
    .default({}),
});
export type Pod = z.output<typeof pod>;

const namespace = z.looseObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Namespace'),
  metadata: objectMeta,
  spec: z.looseObject({}).default({}),
  status: z.looseObject({ phase: z.string().optional() }).default({ phase: 'Active' }),
});
export type Namespace = z.output<typeof namespace>;

const core = { group: '', version: 'v1', hasStatus: true } as const;

export const nodeKind: ResourceDefinition<typeof node> = {
  ...core,
  kind: 'Node',
  plural: 'nodes',
  singular: 'node',
  shortNames: ['no'],
  namespaced: false,
  schema: node,
  columns: [
    { name: 'Status', type: 'string', path: '.status.conditions[?(@.type=="Ready")].status' },
    { name: 'Internal-IP', type: 'string', path: '.status.addresses[?(@.type=="InternalIP")].address' },
    {
      name: 'BGP',
      type: 'string',
      path: '.metadata.annotations.projectcalico\\.org/IPv4Address',
      priority: 1,
    },
    ageColumn,
  ],
};

export const podKind: ResourceDefinition<typeof pod> = {
  ...core,
  kind: 'Pod',
  plural: 'pods',
  singular: 'pod',
  shortNames: ['po'],
  namespaced: true,
  schema: pod,
  columns: [
    { name: 'Status', type: 'string', path: '.status.phase' },
    ageColumn,
    { name: 'IP', type: 'string', path: '.status.podIP', priority: 1 },
    { name: 'Node', type: 'string', path: '.spec.nodeName', priority: 1 },
  ],
};

export const namespaceKind: ResourceDefinition<typeof namespace> = {
  ...core,
  kind: 'Namespace',
  plural: 'namespaces',
  singular: 'namespace',
  shortNames: ['ns'],
  namespaced: false,
  schema: namespace,
  columns: [{ name: 'Status', type: 'string', path: '.status.phase' }, ageColumn],
};

/** Calico's annotations on core Nodes. */
export const nodeAnnotations = {
  ipv4Address: 'projectcalico.org/IPv4Address',
  ipv6Address: 'projectcalico.org/IPv6Address',
  asNumber: 'projectcalico.org/ASNumber',
  routeReflectorClusterID: 'projectcalico.org/RouteReflectorClusterID',
  ipv4IPIPTunnelAddr: 'projectcalico.org/IPv4IPIPTunnelAddr',
  ipv4VXLANTunnelAddr: 'projectcalico.org/IPv4VXLANTunnelAddr',
  ipv6VXLANTunnelAddr: 'projectcalico.org/IPv6VXLANTunnelAddr',
} as const;

/** Calico's annotations on Pods, written by the CNI plugin and read from the user. */
export const podAnnotations = {
  podIP: 'cni.projectcalico.org/podIP',
  podIPs: 'cni.projectcalico.org/podIPs',
  containerID: 'cni.projectcalico.org/containerID',
  ipv4pools: 'cni.projectcalico.org/ipv4pools',
  ipv6pools: 'cni.projectcalico.org/ipv6pools',
  ipAddrs: 'cni.projectcalico.org/ipAddrs',
} as const;
