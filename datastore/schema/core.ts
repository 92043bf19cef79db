/**
 * Core kinds of Kubernetes, reduced to the fields that Cali reads, and Calico's annotations on Nodes and Pods (Calico
 * reference 1.6, C-015).
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
  spec: z
    .looseObject({
      nodeName: z.string().optional(),
      hostNetwork: z.boolean().optional(),
      serviceAccountName: z.string().optional(),
    })
    .default({}),
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

const secret = z.looseObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Secret'),
  metadata: objectMeta,
  type: z.string().optional(),
  /** Values in base64. */
  data: z.record(z.string(), z.string()).optional(),
  /** Values in plain text; write-only. */
  stringData: z.record(z.string(), z.string()).optional(),
});
export type Secret = z.output<typeof secret>;

/** Returns the value of a key, or undefined. Inherited names such as `constructor` are not keys. */
export function secretValue({ data, stringData }: Secret, key: string): string | undefined {
  if (stringData && Object.hasOwn(stringData, key)) return stringData[key];
  if (!data || !Object.hasOwn(data, key)) return undefined;
  return Buffer.from(data[key]!, 'base64').toString('utf8');
}

const configMap = z.looseObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('ConfigMap'),
  metadata: objectMeta,
  data: z.record(z.string(), z.string()).optional(),
});

const event = z.looseObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Event'),
  metadata: objectMeta,
  involvedObject: z.looseObject({ kind: z.string().optional(), name: z.string().optional() }),
  type: z.string().optional(),
  reason: z.string().optional(),
  message: z.string().optional(),
  count: z.number().int().optional(),
  lastTimestamp: z.string().nullish(),
});

const service = z.looseObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Service'),
  metadata: objectMeta,
  spec: z
    .looseObject({
      type: z.string().optional(),
      clusterIP: z.string().optional(),
      clusterIPs: z.array(z.string()).optional(),
      externalIPs: z.array(z.string()).optional(),
      externalTrafficPolicy: z.string().optional(),
      loadBalancerIP: z.string().optional(),
    })
    .default({}),
  status: z
    .looseObject({
      loadBalancer: z
        .looseObject({ ingress: z.array(z.looseObject({ ip: z.string().optional() })).optional() })
        .optional(),
    })
    .default({}),
});
export type Service = z.output<typeof service>;

const endpointSlice = z.looseObject({
  apiVersion: z.enum(['discovery.k8s.io/v1', 'discovery.k8s.io/v1beta1']),
  kind: z.literal('EndpointSlice'),
  metadata: objectMeta,
  addressType: z.string().optional(),
  ports: z.array(z.looseObject({ name: z.string().nullish(), port: z.number().int().nullish() })).nullish(),
  endpoints: z
    .array(
      z
        .looseObject({
          addresses: z.array(z.string()).default([]),
          nodeName: z.string().nullish(),
          /** Holds the node in v1beta1. */
          topology: z.record(z.string(), z.string()).nullish(),
          conditions: z.looseObject({ ready: z.boolean().nullish() }).nullish(),
        })
        .transform((endpoint) => ({
          ...endpoint,
          nodeName: endpoint.nodeName ?? endpoint.topology?.['kubernetes.io/hostname'],
        })),
    )
    .nullish(),
});
export type EndpointSlice = z.output<typeof endpointSlice>;

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

export const secretKind: ResourceDefinition<typeof secret> = {
  ...core,
  hasStatus: false,
  kind: 'Secret',
  plural: 'secrets',
  singular: 'secret',
  shortNames: [],
  namespaced: true,
  schema: secret,
  columns: [{ name: 'Type', type: 'string', path: '.type' }, ageColumn],
};

export const configMapKind: ResourceDefinition<typeof configMap> = {
  ...core,
  hasStatus: false,
  kind: 'ConfigMap',
  plural: 'configmaps',
  singular: 'configmap',
  shortNames: ['cm'],
  namespaced: true,
  schema: configMap,
  columns: [ageColumn],
};

export const eventKind: ResourceDefinition<typeof event> = {
  ...core,
  hasStatus: false,
  kind: 'Event',
  plural: 'events',
  singular: 'event',
  shortNames: ['ev'],
  namespaced: true,
  schema: event,
  columns: [
    { name: 'Type', type: 'string', path: '.type' },
    { name: 'Reason', type: 'string', path: '.reason' },
    { name: 'Object', type: 'string', path: '.involvedObject.name' },
    { name: 'Message', type: 'string', path: '.message' },
  ],
};

export const serviceKind: ResourceDefinition<typeof service> = {
  ...core,
  kind: 'Service',
  plural: 'services',
  singular: 'service',
  shortNames: ['svc'],
  namespaced: true,
  schema: service,
  columns: [
    { name: 'Type', type: 'string', path: '.spec.type' },
    { name: 'Cluster-IP', type: 'string', path: '.spec.clusterIP' },
    { name: 'External-IP', type: 'string', path: '.status.loadBalancer.ingress[0].ip' },
    ageColumn,
  ],
};

export const endpointSliceKind: ResourceDefinition<typeof endpointSlice> = {
  group: 'discovery.k8s.io',
  version: 'v1',
  olderVersions: ['v1beta1'],
  hasStatus: false,
  kind: 'EndpointSlice',
  plural: 'endpointslices',
  singular: 'endpointslice',
  shortNames: [],
  namespaced: true,
  schema: endpointSlice,
  columns: [{ name: 'AddressType', type: 'string', path: '.addressType' }, ageColumn],
};

/** Calico's annotations on core Nodes. */
export const nodeAnnotations = {
  ipv4Address: 'projectcalico.org/IPv4Address',
  ipv6Address: 'projectcalico.org/IPv6Address',
  asNumber: 'projectcalico.org/ASNumber',
  routeReflectorClusterID: 'projectcalico.org/RouteReflectorClusterID',
  ipv4IPIPTunnelAddr: 'projectcalico.org/IPv4IPIPTunnelAddr',
  ipv4VXLANTunnelAddr: 'projectcalico.org/IPv4VXLANTunnelAddr',
  vxlanTunnelMACAddr: 'projectcalico.org/VXLANTunnelMACAddr',
  ipv6VXLANTunnelAddr: 'projectcalico.org/IPv6VXLANTunnelAddr',
  vxlanTunnelMACAddrV6: 'projectcalico.org/VXLANTunnelMACAddrV6',
  /** Cali only: the node's BGP speaker sends with TTL 255. */
  bgpTTLSecurity: 'cali.projectcalico.org/BGPTTLSecurity',
} as const;

/** Calico's annotations on Pods: the CNI plugin writes some, users write the others. */
export const podAnnotations = {
  podIP: 'cni.projectcalico.org/podIP',
  podIPs: 'cni.projectcalico.org/podIPs',
  containerID: 'cni.projectcalico.org/containerID',
  ipv4pools: 'cni.projectcalico.org/ipv4pools',
  ipv6pools: 'cni.projectcalico.org/ipv6pools',
  ipAddrs: 'cni.projectcalico.org/ipAddrs',
  allowedSourcePrefixes: 'cni.projectcalico.org/allowedSourcePrefixes',
  ipFamilies: 'cni.projectcalico.org/ipFamilies',
  hwAddr: 'cni.projectcalico.org/hwAddr',
  ipAddrsNoIpam: 'cni.projectcalico.org/ipAddrsNoIpam',
  floatingIPs: 'cni.projectcalico.org/floatingIPs',
} as const;

/** Prefix of Calico's QoS controls of a pod, such as `ingressBandwidth`, `egressPacketRate` and `dscp`. */
export const QOS_PREFIX = 'qos.projectcalico.org/';
