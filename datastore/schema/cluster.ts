/** ClusterInformation and FelixConfiguration. Calico reference 1.1 and 1.10. */
import { z } from 'zod';
import { boundedPattern } from '../../lib/bounded-pattern.ts';
import { parseAddress } from '../../lib/cidr.ts';
import { BGP_PROTOCOL, hostProtocols } from '../../lib/host-protocols.ts';
import { parseNatAddress, parsePortRange } from '../../lib/nat.ts';
import { felixRules, MAX_NETWORKS, served } from './cel-rules.ts';
import { felixShapeWithoutEffect, felixWithoutEffect } from './felix-without-effect.ts';
import { duration, hostOrNetwork, logSeverity } from './fields.ts';
import { ageColumn, calicoKind, calicoObject, type FieldError, type ResourceDefinition } from './resource.ts';

const clusterInformation = calicoObject(
  'ClusterInformation',
  z
    .looseObject({
      clusterGUID: z.string().optional().describe('Identifies the cluster.'),
      clusterType: z.string().optional().describe('Type of the cluster, such as k8s,bgp.'),
      calicoVersion: z.string().optional().describe('Version that wrote the object.'),
      datastoreReady: z.boolean().optional().describe('Whether agents may use the datastore.'),
      variant: z.string().optional().describe('Product variant in Calico.'),
    })
    .describe('Facts about the cluster.'),
).describe('Facts about the cluster. Written at the first start; the name is "default".');

export const clusterInformationKind = calicoKind(
  {
    kind: 'ClusterInformation',
    plural: 'clusterinformations',
    singular: 'clusterinformation',
    shortNames: ['clusterinfo'],
  },
  clusterInformation,
  [
    { name: 'Type', type: 'string', path: '.spec.clusterType' },
    { name: 'Ready', type: 'boolean', path: '.spec.datastoreReady' },
    ageColumn,
  ],
);

const mtu = z.number().int().min(0).max(65535).optional();

/** Address that a server listens on; empty counts as absent. */
const listenHost = z
  .string()
  .refine(
    (text) => text === '' || text === 'localhost' || parseAddress(text) !== undefined,
    'must be an IP address or localhost',
  );

/** The parameters that have an effect. */
const felixSpec = z.strictObject({
  ipipEnabled: z
    .boolean()
    .optional()
    .describe('Whether to create the IPIP device; follows the IPPools unless set.'),
  ipipMTU: mtu.describe('MTU of the IPIP device; 0 derives it from the uplink.'),
  vxlanEnabled: z
    .boolean()
    .optional()
    .describe('Whether to create the VXLAN devices; follows the IPPools unless set.'),
  vxlanMTU: mtu.describe('MTU of the IPv4 VXLAN device; 0 derives it from the uplink.'),
  vxlanMTUV6: mtu.describe('MTU of the IPv6 VXLAN device; 0 derives it from the uplink.'),
  vxlanPort: z
    .number()
    .int()
    .min(1)
    .max(65535)
    .optional()
    .describe('UDP port of VXLAN; 4789 unless set. The same on every node.'),
  vxlanVNI: z
    .number()
    .int()
    .min(1)
    .max(16777215)
    .optional()
    .describe('VXLAN network identifier; 4096 unless set. The same on every node.'),
  mtuIfacePattern: z
    .string()
    .superRefine((text, context) => {
      const pattern = boundedPattern(text);
      if (typeof pattern === 'string') context.addIssue({ code: 'custom', message: pattern });
    })
    .optional()
    .describe('Regular expression of the interfaces whose MTU limits the MTU of pods.'),
  routeSource: z
    .enum(['CalicoIPAM', 'WorkloadIPs', 'BGP', 'Datastore'])
    .optional()
    .describe(
      'Datastore: routes between nodes come from the datastore, and BGP is off (not in Calico). With any other value they come from BGP.',
    ),
  natOutgoingAddress: z
    .string()
    .max(45)
    .refine((text) => text === '' || parseNatAddress(text) !== undefined, 'must be an IPv4 address of a host')
    .optional()
    .describe('Source address of masqueraded packets; the address of the outgoing interface unless set.'),
  natOutgoingExclusions: z
    .enum(['IPPoolsOnly', 'IPPoolsAndHostIPs'])
    .optional()
    .describe('Destinations that are not masqueraded: IPPoolsOnly, or IPPoolsAndHostIPs.'),
  natPortRange: z
    .union([
      z.number().int().min(1).max(65535),
      z.string().regex(/^\d{1,5}([:-]\d{1,5})?$/, 'must be low:high'),
    ])
    .refine(
      (range) => parsePortRange(String(range)) !== undefined,
      'must be low:high with 1 ≤ low ≤ high ≤ 65535',
    )
    .meta({ 'x-kubernetes-int-or-string': true })
    .optional()
    .describe('Source ports of masqueraded packets, as low:high; any port unless set.'),
  iptablesNATOutgoingInterfaceFilter: z
    .string()
    .regex(/^[\w.-]{0,15}\+?$/, 'must be an interface name; a + at the end matches any characters')
    .optional()
    .describe('Masquerades only on interfaces of this name; a + at the end matches any characters.'),
  externalNodesList: z
    .array(hostOrNetwork.describe('An address or a network.'))
    .max(MAX_NETWORKS)
    .optional()
    .describe('Addresses and networks outside the cluster whose tunnel packets are accepted.'),
  allowIPIPPacketsFromWorkloads: z
    .boolean()
    .optional()
    .describe('Whether pods may send IPIP packets; false unless set.'),
  allowVXLANPacketsFromWorkloads: z
    .boolean()
    .optional()
    .describe('Whether pods may send VXLAN packets; false unless set.'),
  workloadSourceSpoofing: z
    .enum(['Disabled', 'Any'])
    .optional()
    .describe(
      'Any honours the annotation cni.projectcalico.org/allowedSourcePrefixes of pods; Disabled unless set.',
    ),
  featureDetectOverride: z
    .string()
    .regex(/^([\w-]+=(true|false)?(,|$))*$/, 'must be a list such as ChecksumOffloadBroken=true,Other=false')
    .optional()
    .describe(
      'Overrides detected features of the kernel: Name=true,Other=false. Only ChecksumOffloadBroken has an effect.',
    ),
  logSeverityScreen: logSeverity
    .optional()
    .describe('Level of the log: Debug, Info, Warning or Error; Info unless set.'),
  ipForwarding: z
    .enum(['Enabled', 'Disabled'])
    .optional()
    .describe('Whether the agent enables forwarding on the node; Enabled unless set.'),
  routeRefreshInterval: duration
    .optional()
    .describe('Interval of full checks of the kernel; 90s unless set.'),
  deviceRouteProtocol: z
    .number()
    .int()
    .min(1)
    .max(255)
    .optional()
    .describe('Protocol number of routes to local pods; 161 unless set.'),
  healthEnabled: z.boolean().optional().describe('Whether /healthz and /readyz are served; true unless set.'),
  healthHost: listenHost
    .optional()
    .describe('Address of /healthz and /readyz, in addition to 127.0.0.1; localhost unless set.'),
  healthPort: z
    .number()
    .int()
    .min(0)
    .max(65535)
    .optional()
    .describe('Port of /healthz and /readyz; 9099 unless set, 0 disables it.'),
  prometheusMetricsEnabled: z.boolean().optional().describe('Whether /metrics is served; true unless set.'),
  prometheusMetricsHost: listenHost.optional().describe('Address of /metrics; 127.0.0.1 unless set.'),
  prometheusMetricsPort: z
    .number()
    .int()
    .min(0)
    .max(65535)
    .optional()
    .describe('Port of /metrics; 9091 unless set, 0 disables it.'),
});

/** All of Calico's parameters. The type names those that have an effect. */
const wholeFelixSpec = z
  .strictObject({ ...felixShapeWithoutEffect, ...felixSpec.shape })
  .meta(served(...felixRules));

const felixConfiguration = calicoObject(
  'FelixConfiguration',
  wholeFelixSpec.default({}).describe('Settings of the agents.'),
).describe(
  'Settings of every agent ("default") or of one node ("node.NAME"); the settings of the node take precedence.',
);

/** Types of the parameters that have an effect. */
export const felixParameters: z.ZodRawShape = felixSpec.shape;

export type FelixConfiguration = z.output<typeof felixConfiguration>;

const felixDefinition = calicoKind(
  {
    kind: 'FelixConfiguration',
    plural: 'felixconfigurations',
    singular: 'felixconfiguration',
    shortNames: ['felixconfig', 'felixconfigs'],
  },
  felixConfiguration,
  [{ name: 'Log', type: 'string', path: '.spec.logSeverityScreen' }, ageColumn],
  ({ spec }) => {
    const faults: FieldError[] = [];
    if ('routeTableRange' in spec && 'routeTableRanges' in spec)
      faults.push({
        field: 'spec.routeTableRanges',
        message: 'excludes spec.routeTableRange: remove one of them',
        isHarmless: true,
      });
    const { deviceRouteProtocol: value } = spec;
    const host = hostProtocols.get(value ?? -1);
    const owner =
      value === BGP_PROTOCOL
        ? 'marks routes learned by BGP'
        : host && `is ${host}, which marks routes of the host itself`;
    if (owner)
      faults.push({ field: 'spec.deviceRouteProtocol', value, message: `${owner}: choose another number` });
    return faults;
  },
);

/** Parameters are independent, so an unreadable one does not affect the others. */
export const felixConfigurationKind: ResourceDefinition<typeof felixConfiguration> = {
  ...felixDefinition,
  withoutEffect: felixWithoutEffect,
  fallbacks: {
    ...Object.fromEntries(
      [...Object.keys(felixShapeWithoutEffect), ...Object.keys(felixSpec.shape)].map((name) => [
        name,
        'default' as const,
      ]),
    ),
    externalNodesList: 'drop elements',
  },
};
