/** ClusterInformation and FelixConfiguration. Calico reference 1.1 and 1.10. */
import { z } from 'zod';
import { duration, logSeverity } from './fields.ts';
import { ageColumn, calicoKind, calicoObject } from './resource.ts';

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

/** Felix has some hundred parameters: those used here are checked, the others kept untouched. */
const felixConfiguration = calicoObject(
  'FelixConfiguration',
  z
    .looseObject({
      logSeverityScreen: logSeverity.optional(),
      ipv6Support: z.boolean().optional(),
      ipForwarding: z.enum(['Enabled', 'Disabled']).optional(),
      routeRefreshInterval: duration.optional(),
      deviceRouteProtocol: z.number().int().min(1).max(255).optional(),
      healthEnabled: z.boolean().optional(),
      healthHost: z.string().optional(),
      healthPort: z.number().int().min(1).max(65535).optional(),
      prometheusMetricsEnabled: z.boolean().optional(),
      prometheusMetricsHost: z.string().optional(),
      prometheusMetricsPort: z.number().int().min(1).max(65535).optional(),
    })
    .default({}),
);

export type FelixConfiguration = z.output<typeof felixConfiguration>;

export const felixConfigurationKind = calicoKind(
  {
    kind: 'FelixConfiguration',
    plural: 'felixconfigurations',
    singular: 'felixconfiguration',
    shortNames: ['felixconfig', 'felixconfigs'],
  },
  felixConfiguration,
  [{ name: 'Log', type: 'string', path: '.spec.logSeverityScreen' }, ageColumn],
);
