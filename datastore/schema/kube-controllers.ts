/** KubeControllersConfiguration. Calico reference 1.12. Cali's controllers read `controllers.node`. */
import { z } from 'zod';
import { isAnnotationKey, isLabelValue, isQualifiedName } from '../../lib/kubernetes-names.ts';
import { addressOrNetwork, duration, selector } from './fields.ts';
import { ageColumn, calicoKind, calicoObject, type ResourceDefinition } from './resource.ts';
import { describeReason, type FieldsWithoutEffect } from './without-effect.ts';

const POLICY = 'Cali enforces no network policy';
const LOG = 'the variable LOG_LEVEL sets the level of cali-controllers';
const HEALTH = 'cali-controllers always serve /healthz and /readyz';
const STORE = 'Cali keeps its objects in the Kubernetes API';
const METRICS = 'the manifest sets the port of cali-controllers';
const GO = 'Cali is not a Go program';
const LABELS = 'Cali reads the labels of core Nodes';
const BALANCER = 'Cali does not assign LoadBalancer addresses to Services';

const toggle = z.enum(['Enabled', 'Disabled']);
const port = z.number().int().min(0).max(65535);
const inert = <S extends z.ZodType>(type: S, reason: string) =>
  type.optional().describe(describeReason(reason));

const labels = z
  .record(z.string(), z.string().describe('Value of a label.'))
  .refine(
    (all) => Object.entries(all).every(([key, value]) => isQualifiedName(key) && isLabelValue(value)),
    'must be Kubernetes labels',
  );

const annotations = z
  .record(z.string(), z.string().describe('Value of an annotation.'))
  .refine((all) => Object.keys(all).every(isAnnotationKey), 'must have qualified names as keys');

const subdomain = z
  .string()
  .max(253)
  .regex(/^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$/, 'must be a DNS subdomain');

const template = z
  .strictObject({
    generateName: inert(subdomain, POLICY),
    interfaceCIDRs: inert(z.array(addressOrNetwork.describe('An address or a network.')).max(100), POLICY),
    interfacePattern: inert(z.string(), POLICY),
    labels: inert(labels, POLICY),
    annotations: inert(annotations, POLICY),
    nodeSelector: inert(selector, POLICY),
  })
  .describe('A template of HostEndpoints.');

const ofPolicy = z
  .strictObject({ reconcilerPeriod: inert(duration, POLICY) })
  .nullish()
  .describe('A controller of network policy.');

const controllers = z.strictObject({
  node: z
    .strictObject({
      reconcilerPeriod: duration.optional().describe('Interval of full checks; 5m unless set.'),
      leakGracePeriod: duration
        .optional()
        .describe(
          'How long an address must look leaked before it is released; 15m unless set, 0s releases none.',
        ),
      syncLabels: inert(toggle, LABELS),
      hostEndpoint: z
        .strictObject({
          autoCreate: inert(toggle, POLICY),
          createDefaultHostEndpoint: inert(toggle, POLICY),
          templates: inert(z.array(template).max(100), POLICY),
        })
        .nullish()
        .describe('HostEndpoints for nodes.'),
    })
    .nullish()
    .describe('The controller that releases addresses of deleted pods and nodes.'),
  policy: ofPolicy,
  workloadEndpoint: ofPolicy,
  serviceAccount: ofPolicy,
  namespace: ofPolicy,
  loadBalancer: z
    .strictObject({ assignIPs: inert(z.enum(['AllServices', 'RequestedServicesOnly']), BALANCER) })
    .nullish()
    .describe('The controller of LoadBalancer Services.'),
  migration: z
    .strictObject({ policyNameMigrator: inert(toggle, POLICY) })
    .nullish()
    .describe('The migration of policies.'),
});

const spec = z.strictObject({
  logSeverityScreen: inert(z.enum(['None', 'Debug', 'Info', 'Warning', 'Error', 'Fatal', 'Panic']), LOG),
  healthChecks: inert(toggle, HEALTH),
  etcdV3CompactionPeriod: inert(duration, STORE),
  prometheusMetricsPort: inert(port, METRICS),
  debugProfilePort: inert(port, GO),
  controllers: controllers.default({}).describe('Settings by controller.'),
});

/** The values that Calico writes by default are neutral: no user requested them. */
const withoutEffect: FieldsWithoutEffect = {
  logSeverityScreen: { reason: LOG, neutral: ['Info'] },
  healthChecks: { reason: HEALTH, neutral: ['Enabled'] },
  etcdV3CompactionPeriod: { reason: STORE, neutral: ['10m0s', '10m'] },
  prometheusMetricsPort: { reason: METRICS, neutral: [9094] },
  debugProfilePort: { reason: GO },
  'controllers.node.syncLabels': { reason: LABELS, neutral: ['Enabled'] },
  'controllers.node.hostEndpoint.autoCreate': { reason: POLICY, neutral: ['Disabled'] },
  'controllers.node.hostEndpoint.createDefaultHostEndpoint': { reason: POLICY, neutral: ['Enabled'] },
  'controllers.node.hostEndpoint.templates': { reason: POLICY },
  ...Object.fromEntries(
    ['policy', 'workloadEndpoint', 'serviceAccount', 'namespace'].map((name) => [
      `controllers.${name}.reconcilerPeriod`,
      { reason: POLICY, neutral: ['5m0s', '5m'] },
    ]),
  ),
  'controllers.loadBalancer.assignIPs': { reason: BALANCER },
  'controllers.migration.policyNameMigrator': { reason: POLICY, neutral: ['Enabled', 'Disabled'] },
};

const kubeControllersConfiguration = calicoObject(
  'KubeControllersConfiguration',
  spec.describe('Settings of cali-controllers.'),
)
  .extend({ status: z.looseObject({}).optional().describe('Status as Calico writes it.') })
  .describe('Settings of cali-controllers; the name is "default".');
export type KubeControllersConfiguration = z.output<typeof kubeControllersConfiguration>;

/** Unknown fields, which a newer Calico may write, do not affect the others. */
export const kubeControllersConfigurationKind: ResourceDefinition<typeof kubeControllersConfiguration> = {
  ...calicoKind(
    {
      kind: 'KubeControllersConfiguration',
      plural: 'kubecontrollersconfigurations',
      singular: 'kubecontrollersconfiguration',
      shortNames: ['kcc'],
    },
    kubeControllersConfiguration,
    [ageColumn],
  ),
  withoutEffect,
  ignoresUnknown: true,
};
