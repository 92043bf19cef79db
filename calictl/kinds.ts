/** Kinds by calicoctl's names, and why other kinds are not supported. */
import { registered } from '../datastore/documents.ts';
import { findKind } from '../datastore/registry.ts';
import { nodeKind } from '../datastore/schema/core.ts';
import { apiVersionOf, CALICO_GROUP, type ResourceDefinition } from '../datastore/schema/resource.ts';
import { CodedError } from '../lib/errors.ts';
import { printable } from '../lib/plain-text.ts';
import { calicoNodeKind } from './calico-node.ts';
import { workloadEndpointKind } from './workload-endpoint.ts';

/** Kinds that calictl derives from core objects. */
const derivedKinds: readonly ResourceDefinition[] = [calicoNodeKind, workloadEndpointKind];

/** calicoctl's names that are not names of the API. */
const aliases: Readonly<Record<string, string>> = {
  ipps: 'ippool',
  pools: 'ippool',
  bgpp: 'bgppeer',
  bgpps: 'bgppeer',
  bp: 'bgppeer',
  bps: 'bgppeer',
  bgpconfig: 'bgpconfiguration',
  bgpconfigs: 'bgpconfiguration',
  bgpf: 'bgpfilter',
  bgpfs: 'bgpfilter',
  bf: 'bgpfilter',
  bfs: 'bgpfilter',
  felixconfig: 'felixconfiguration',
  felixconfigs: 'felixconfiguration',
  clusterinfo: 'clusterinformation',
  clusterinfos: 'clusterinformation',
  kubecontrollersconfig: 'kubecontrollersconfiguration',
  kubecontrollersconfigs: 'kubecontrollersconfiguration',
  nodestatus: 'caliconodestatus',
  nodestatuses: 'caliconodestatus',
  ipamconfig: 'ipamconfiguration',
  ipamconfigs: 'ipamconfiguration',
  reservation: 'ipreservation',
  reservations: 'ipreservation',
};

const noPolicy = 'Cali has no network policy';
const noHostEndpoint = 'Cali does not protect host interfaces';

/** Calico's kinds that Cali does not support, by their names in lower case. */
const absent: readonly { readonly names: readonly string[]; readonly why: string }[] = [
  {
    names: [
      ...['networkpolicy', 'networkpolicies', 'np', 'policy', 'policies', 'pol', 'pols'],
      ...['globalnetworkpolicy', 'globalnetworkpolicies', 'gnp', 'gnps'],
      ...['stagednetworkpolicy', 'stagednetworkpolicies', 'snp'],
      ...['stagedglobalnetworkpolicy', 'stagedglobalnetworkpolicies', 'sgnp'],
      ...['stagedkubernetesnetworkpolicy', 'stagedkubernetesnetworkpolicies', 'sknp'],
      ...['networkset', 'networksets', 'netsets', 'globalnetworkset', 'globalnetworksets'],
      ...['profile', 'profiles', 'pro', 'pros', 'tier', 'tiers'],
    ],
    why: noPolicy,
  },
  { names: ['hostendpoint', 'hostendpoints', 'hep', 'heps'], why: noHostEndpoint },
];

/** Returns a kind by any of its names. Throws CodedError KIND. */
export function kindNamed(name: string): ResourceDefinition {
  const wanted = name.toLowerCase();
  const derived = derivedKinds.find(({ plural, singular, shortNames }) =>
    [plural, singular, ...shortNames].includes(wanted),
  );
  const definition =
    derived ?? findKind((Object.hasOwn(aliases, wanted) ? aliases[wanted] : undefined) ?? wanted);
  if (definition) return definition;
  const why = whyAbsent(wanted);
  const advice =
    why ?? 'try node, ippool, bgppeer, bgpconfiguration, felixconfiguration, workloadendpoint, …';
  throw new CodedError('KIND', `resource type '${printable(name, 100)}' is not supported: ${advice}`);
}

/** Returns the kind of a document, or why it has none. Calico's Node and the core Node differ in their apiVersion. */
export function resolveKind(kind: string, apiVersion: string): ResourceDefinition | string {
  const derived = derivedKinds.find((one) => one.kind === kind);
  if (derived && apiVersion === apiVersionOf(derived)) return derived;
  if (derived && (kind !== nodeKind.kind || apiVersion.startsWith(`${CALICO_GROUP}/`)))
    return `apiVersion is ${printable(apiVersion, 100)} but must be ${apiVersionOf(derived)}`;
  return whyAbsent(kind.toLowerCase()) ?? registered(kind, apiVersion);
}

function whyAbsent(name: string): string | undefined {
  return absent.find(({ names }) => names.includes(name))?.why;
}
