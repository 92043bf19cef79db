/** ClusterInformation and FelixConfiguration. Calico reference 1.1 and 1.10. */
import { z } from 'zod';
import { boundedPattern } from '../../lib/bounded-pattern.ts';
import { parseAddress } from '../../lib/cidr.ts';
import { parseNatAddress, parsePortRange } from '../../lib/nat.ts';
import { duration, hostOrNetwork, logSeverity } from './fields.ts';
import { ageColumn, calicoKind, calicoObject, type ResourceDefinition } from './resource.ts';

const clusterInformation = calicoObject(
  'ClusterInformation',
  z.looseObject({
    clusterGUID: z.string().optional(),
    clusterType: z.string().optional(),
    calicoVersion: z.string().optional(),
    datastoreReady: z.boolean().optional(),
    variant: z.string().optional(),
  }),
);

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

/** Where a server listens; empty counts as absent. */
const listenHost = z
  .string()
  .refine(
    (text) => text === '' || text === 'localhost' || parseAddress(text) !== undefined,
    'must be an IP address or localhost',
  );

/** Felix has some hundred parameters: those used here are checked, the others kept untouched. */
const felixSpec = z.looseObject({
  ipipEnabled: z.boolean().optional(),
  ipipMTU: mtu,
  vxlanEnabled: z.boolean().optional(),
  vxlanMTU: mtu,
  vxlanMTUV6: mtu,
  vxlanPort: z.number().int().min(1).max(65535).optional(),
  vxlanVNI: z.number().int().min(1).max(16777215).optional(),
  mtuIfacePattern: z
    .string()
    .superRefine((text, context) => {
      const pattern = boundedPattern(text);
      if (typeof pattern === 'string') context.addIssue({ code: 'custom', message: pattern });
    })
    .optional(),
  /** Calico's values leave the routes to BGP; Datastore is Cali's own: routes without BGP. */
  routeSource: z.enum(['CalicoIPAM', 'WorkloadIPs', 'BGP', 'Datastore']).optional(),
  natOutgoingAddress: z
    .string()
    .refine((text) => text === '' || parseNatAddress(text) !== undefined, 'must be an IPv4 address of a host')
    .optional(),
  natOutgoingExclusions: z.enum(['IPPoolsOnly', 'IPPoolsAndHostIPs']).optional(),
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
    .optional(),
  iptablesNATOutgoingInterfaceFilter: z
    .string()
    .regex(/^[\w.-]{0,15}\+?$/, 'must be the name of an interface, with a + at the end for any that begin so')
    .optional(),
  externalNodesList: z.array(hostOrNetwork).optional(),
  allowIPIPPacketsFromWorkloads: z.boolean().optional(),
  allowVXLANPacketsFromWorkloads: z.boolean().optional(),
  /** Any: the annotation cni.projectcalico.org/allowedSourcePrefixes of pods counts. */
  workloadSourceSpoofing: z.enum(['Disabled', 'Any']).optional(),
  featureDetectOverride: z.string().optional(),
  logSeverityScreen: logSeverity.optional(),
  ipv6Support: z.boolean().optional(),
  ipForwarding: z.enum(['Enabled', 'Disabled']).optional(),
  routeRefreshInterval: duration.optional(),
  deviceRouteProtocol: z.number().int().min(1).max(255).optional(),
  healthEnabled: z.boolean().optional(),
  healthHost: listenHost.optional(),
  healthPort: z.number().int().min(0).max(65535).optional(),
  prometheusMetricsEnabled: z.boolean().optional(),
  prometheusMetricsHost: listenHost.optional(),
  prometheusMetricsPort: z.number().int().min(0).max(65535).optional(),
});

const felixConfiguration = calicoObject('FelixConfiguration', felixSpec.default({}));

/** Names of the parameters that are checked, which are those that are used. */
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
);

/** Parameters do not depend on each other: one that cannot be read costs no other. */
export const felixConfigurationKind: ResourceDefinition<typeof felixConfiguration> = {
  ...felixDefinition,
  fallbacks: {
    ...Object.fromEntries(Object.keys(felixSpec.shape).map((name) => [name, 'default' as const])),
    externalNodesList: 'drop elements',
  },
};

const kubeControllersConfiguration = calicoObject(
  'KubeControllersConfiguration',
  z.looseObject({
    logSeverityScreen: logSeverity.optional(),
    healthChecks: z.enum(['Enabled', 'Disabled']).optional(),
    prometheusMetricsPort: z.number().int().min(0).max(65535).optional(),
    controllers: z
      .looseObject({
        node: z
          .looseObject({
            /** How often everything is looked at; 5m unless set. */
            reconcilerPeriod: duration.optional(),
            /** How long an address has to look leaked; 15m unless set, 0s switches collection off. */
            leakGracePeriod: duration.optional(),
          })
          .nullish(),
      })
      .default({}),
  }),
).extend({ status: z.looseObject({}).optional() });
export type KubeControllersConfiguration = z.output<typeof kubeControllersConfiguration>;

/** Calico reference 1.12: the controllers that are here read `controllers.node`. */
export const kubeControllersConfigurationKind = calicoKind(
  {
    kind: 'KubeControllersConfiguration',
    plural: 'kubecontrollersconfigurations',
    singular: 'kubecontrollersconfiguration',
    shortNames: ['kcc'],
  },
  kubeControllersConfiguration,
  [ageColumn],
);
