/** BGPConfiguration. Calico reference 1.3; fields that Calico does not have are marked. */
import { z } from 'zod';
import { bfd, connectRetryTime, isHoldTime, parsePeerIP, SECRET_IS_NEEDED } from './bgp-fields.ts';
import { bgpConfigurationNameRule, bgpConfigurationRules, MAX_NETWORKS, served } from './cel-rules.ts';
import {
  asNumber,
  bgpIdentifier,
  duration,
  hostOrNetwork,
  ipAddress,
  ipAddressOf,
  logSeverity,
  network,
  secretKeyRef,
} from './fields.ts';
import { ageColumn, calicoKind, calicoObject, type FieldError, type ResourceDefinition } from './resource.ts';

const cidrList = z
  .array(
    z
      .strictObject({ cidr: hostOrNetwork.describe('A network in CIDR notation, or an address.') })
      .describe('One range.'),
  )
  .max(MAX_NETWORKS)
  .optional();
const priority = z.number().int().min(1).max(2147483646).optional();

const community = z.string().refine(isCommunity, {
  error: (issue) =>
    `"${String(issue.input)}" is not a community: write aa:nn with numbers up to 65535, or aa:nn:mm with numbers up to 4294967295`,
});

function isCommunity(text: string): boolean {
  const limit = text.split(':').length === 2 ? 0xffff : 0xffffffff;
  return /^\d+:\d+(:\d+)?$/.test(text) && text.split(':').every((part) => Number(part) <= limit);
}

const configurationSpec = z.strictObject({
  logSeverityScreen: logSeverity.optional().describe('Level of the log: Debug, Info, Warning or Error.'),
  nodeToNodeMeshEnabled: z
    .boolean()
    .optional()
    .describe('Whether every node peers with every other node; true unless set. Cluster-wide.'),
  asNumber: asNumber
    .optional()
    .describe(
      'AS number of the nodes, 1 to 4294967295 or two numbers joined by a dot; 64512 unless set. Cluster-wide.',
    ),
  serviceClusterIPs: cidrList.describe('Ranges of cluster IPs that the nodes announce. Cluster-wide.'),
  serviceExternalIPs: cidrList.describe(
    'Ranges of external IPs of Services that the nodes announce. Cluster-wide.',
  ),
  serviceLoadBalancerIPs: cidrList.describe(
    'Ranges of load balancer IPs of Services that the nodes announce. Cluster-wide.',
  ),
  serviceLoadBalancerAggregation: z
    .enum(['Enabled', 'Disabled'])
    .optional()
    .describe(
      'Enabled announces the ranges of serviceLoadBalancerIPs as a whole; Disabled announces a /32 or /128 for each Service. Enabled unless set.',
    ),
  communities: z
    .array(
      z
        .strictObject({
          name: z.string().max(253).describe('Name for use in prefixAdvertisements.'),
          value: community.describe('A community aa:nn, or a large community aa:nn:mm.'),
        })
        .describe('A named community.'),
    )
    .max(500)
    .optional()
    .describe('Names for communities, for use in prefixAdvertisements.'),
  prefixAdvertisements: z
    .array(
      z
        .strictObject({
          cidr: network.describe('Routes inside this range carry the communities.'),
          communities: z
            .array(z.string().describe('A community, or a name in spec.communities.'))
            .max(50)
            .optional()
            .describe('Communities, or names in spec.communities.'),
        })
        .describe('One range and its communities.'),
    )
    .max(500)
    .optional()
    .describe('Communities to attach to local routes inside these ranges.'),
  listenPort: z
    .number()
    .int()
    .min(1)
    .max(65535)
    .optional()
    .describe('TCP port on which the BGP speaker listens; 179 unless set.'),
  nodeMeshPassword: secretKeyRef
    .optional()
    .describe('Password of the sessions of the node-to-node mesh (TCP MD5). Cluster-wide.'),
  nodeMeshMaxRestartTime: duration
    .optional()
    .describe('How long mesh peers keep the routes of a node that restarts; 120s unless set. Cluster-wide.'),
  bindMode: z
    .enum(['None', 'NodeIP'])
    .optional()
    .describe(
      'NodeIP listens only on the address of the node; None listens on every address. None unless set.',
    ),
  ignoredInterfaces: z
    .array(
      z
        .string()
        .regex(
          /^([a-zA-Z0-9_.*-]{2,15}|[a-zA-Z0-9_.-])$/,
          'must be an interface name of at most 15 characters; * matches any characters; * alone is refused',
        )
        .describe('Name of an interface.'),
    )
    .optional()
    .describe(
      'Interfaces whose routes BIRD would not import. Accepted, without effect: Cali imports no routes from interfaces.',
    ),
  localWorkloadPeeringIPV4: ipAddressOf(4)
    .optional()
    .describe('IPv4 address of the node that pods peer with (localWorkloadSelector of BGPPeer).'),
  localWorkloadPeeringIPV6: ipAddressOf(6)
    .optional()
    .describe('IPv6 address of the node that pods peer with (localWorkloadSelector of BGPPeer).'),
  programClusterRoutes: z
    .enum(['Disabled', 'Enabled', 'EnabledIPIPOnly', 'EnabledNoEncapOnly'])
    .optional()
    .describe(
      'Which daemon programs routes in Calico. Accepted, without effect: in Cali only the agent does.',
    ),
  ipv4NormalRoutePriority: priority.describe(
    'Metric of IPv4 routes to pods and of learned routes in the kernel; 1024 unless set.',
  ),
  ipv6NormalRoutePriority: priority.describe(
    'Metric of IPv6 routes to pods and of learned routes in the kernel; 1024 unless set.',
  ),
  // Cali only: for the mesh, and the default for BGPPeers.
  holdTime: duration
    .optional()
    .describe(
      'BGP hold time: 0s, or 3s to 65535s; 90s unless set. For the mesh, and for BGPPeers without one. Not in Calico.',
    ),
  connectRetryTime: connectRetryTime
    .optional()
    .describe('Longest delay between two attempts to connect; 5s unless set. Not in Calico.'),
  bfd,
  bmpStation: z
    .string()
    .refine(
      (text) => parsePeerIP(text)?.port !== undefined,
      'must be an address and a port: a.b.c.d:port or [v6]:port',
    )
    .optional()
    .describe(
      'Address and port of a BMP station that monitors the sessions (RFC 7854): a.b.c.d:port or [v6]:port. Not in Calico.',
    ),
  gracefulShutdown: z
    .boolean()
    .optional()
    .describe(
      'Announces routes with GRACEFUL_SHUTDOWN before maintenance (RFC 8326); in node.NAME, only those of that node. Not in Calico.',
    ),
  acceptDefaultRoute: z
    .enum(['IfNone', 'Always', 'Never'])
    .optional()
    .describe(
      "Whether a learned default route is used: IfNone while the host has none, Always also in place of the host's own, or Never. Not in Calico.",
    ),
  // Cali only, for `cali-node --role reflector`.
  routerID: bgpIdentifier
    .optional()
    .describe('BGP identifier of a reflector that runs outside the cluster. Not in Calico.'),
  routeReflectorClusterID: bgpIdentifier
    .optional()
    .describe('Cluster ID of a reflector that runs outside the cluster (RFC 4456). Not in Calico.'),
  listenAddresses: z
    .array(ipAddress.describe('An IP address.'))
    .max(MAX_NETWORKS)
    .optional()
    .describe(
      'Addresses on which a reflector outside the cluster listens; every address unless set. Not in Calico.',
    ),
});

const configuration = calicoObject(
  'BGPConfiguration',
  configurationSpec
    .default({})
    .meta(served(...bgpConfigurationRules))
    .describe('BGP settings.'),
)
  .meta(served(bgpConfigurationNameRule))
  .describe('BGP settings of the cluster ("default") or of one node ("node.NAME").');
export type BGPConfiguration = z.output<typeof configuration>;

const defaultOnly = [
  'nodeToNodeMeshEnabled',
  'asNumber',
  'serviceClusterIPs',
  'serviceExternalIPs',
  'serviceLoadBalancerIPs',
  'nodeMeshPassword',
  'nodeMeshMaxRestartTime',
] as const;

function validateConfiguration({ metadata, spec }: BGPConfiguration): FieldError[] {
  const errors: FieldError[] = [];
  const { name } = metadata;
  if (name !== 'default' && !name.startsWith('node.')) {
    errors.push({
      field: 'metadata.name',
      value: name,
      message: 'must be "default" or "node.<name of the node>"',
      isHarmless: true,
    });
  }
  if (name !== 'default') {
    for (const field of defaultOnly) {
      if (spec[field] !== undefined) {
        errors.push({
          field: `spec.${field}`,
          message: 'is cluster-wide: set it on BGPConfiguration default',
          isHarmless: true,
        });
      }
    }
  }
  if (spec.nodeToNodeMeshEnabled === false) {
    for (const field of ['nodeMeshPassword', 'nodeMeshMaxRestartTime'] as const) {
      if (spec[field] !== undefined) {
        errors.push({
          field: `spec.${field}`,
          message: 'has no effect while nodeToNodeMeshEnabled is false: remove it',
          isHarmless: true,
        });
      }
    }
  }
  if (spec.holdTime !== undefined && !isHoldTime(spec.holdTime)) {
    errors.push({
      field: 'spec.holdTime',
      value: spec.holdTime,
      message: 'must be 0s or between 3s and 65535s',
    });
  }
  const known = new Set(spec.communities?.map((one) => one.name));
  for (const [index, { communities = [] }] of (spec.prefixAdvertisements ?? []).entries()) {
    if (communities.length === 0) {
      errors.push({
        field: `spec.prefixAdvertisements[${index}].communities`,
        message: 'is required: name at least one community',
        isHarmless: true,
      });
    }
    for (const value of communities.filter((one) => !known.has(one) && !isCommunity(one))) {
      errors.push({
        field: `spec.prefixAdvertisements[${index}].communities`,
        value,
        message: 'is neither a community nor the name of one in spec.communities',
      });
    }
  }
  if (spec.communities && !spec.prefixAdvertisements) {
    errors.push({
      field: 'spec.communities',
      message: 'needs prefixAdvertisements that use them',
      isHarmless: true,
    });
  }
  return errors;
}

const configurationDefinition = calicoKind(
  {
    kind: 'BGPConfiguration',
    plural: 'bgpconfigurations',
    singular: 'bgpconfiguration',
    shortNames: ['bgpconfig', 'bgpconfigs'],
  },
  configuration,
  [
    { name: 'Mesh', type: 'boolean', path: '.spec.nodeToNodeMeshEnabled' },
    { name: 'ASN', type: 'integer', path: '.spec.asNumber' },
    ageColumn,
  ],
  validateConfiguration,
);

/**
 * The fallbacks leave out AS number, mesh, passwords, ports and identifiers: with the default, the session would be a
 * different one. Without a former version BGP waits (agent/report/object-faults.ts).
 */
export const bgpConfigurationKind: ResourceDefinition<typeof configuration> = {
  ...configurationDefinition,
  withoutEffect: {
    ignoredInterfaces: { reason: 'Cali imports no routes from interfaces' },
    programClusterRoutes: { reason: 'in Cali only the agent programs routes' },
    'nodeMeshPassword.secretKeyRef.optional': SECRET_IS_NEEDED,
  },
  fallbacks: {
    logSeverityScreen: 'default',
    serviceClusterIPs: 'drop elements',
    serviceExternalIPs: 'drop elements',
    serviceLoadBalancerIPs: 'drop elements',
    serviceLoadBalancerAggregation: 'default',
    communities: 'drop elements',
    prefixAdvertisements: 'drop elements',
    nodeMeshMaxRestartTime: 'default',
    ignoredInterfaces: 'default',
    localWorkloadPeeringIPV4: 'default',
    localWorkloadPeeringIPV6: 'default',
    ipv4NormalRoutePriority: 'default',
    ipv6NormalRoutePriority: 'default',
    holdTime: 'default',
    connectRetryTime: 'default',
    bfd: 'default',
    bmpStation: 'default',
    gracefulShutdown: 'default',
  },
};
