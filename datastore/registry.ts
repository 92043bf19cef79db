/** All kinds that Cali serves, stores or shows. */
import { bgpConfigurationKind } from './schema/bgp-configuration.ts';
import { bgpFilterKind } from './schema/bgp-filter.ts';
import { bgpPeerKind } from './schema/bgp-peer.ts';
import { clusterInformationKind, felixConfigurationKind } from './schema/cluster.ts';
import {
  endpointSliceKind,
  eventKind,
  namespaceKind,
  nodeKind,
  podKind,
  secretKind,
  serviceKind,
} from './schema/core.ts';
import { ipPoolKind } from './schema/ip-pool.ts';
import {
  blockAffinityKind,
  ipamBlockKind,
  ipamConfigurationKind,
  ipamHandleKind,
  ipReservationKind,
} from './schema/ipam.ts';
import { kubeControllersConfigurationKind } from './schema/kube-controllers.ts';
import { calicoNodeStatusKind } from './schema/node-status.ts';
import type { ResourceDefinition } from './schema/resource.ts';

export const registry: readonly ResourceDefinition[] = [
  nodeKind,
  podKind,
  namespaceKind,
  secretKind,
  serviceKind,
  endpointSliceKind,
  eventKind,
  ipPoolKind,
  bgpConfigurationKind,
  bgpPeerKind,
  bgpFilterKind,
  felixConfigurationKind,
  clusterInformationKind,
  kubeControllersConfigurationKind,
  calicoNodeStatusKind,
  ipamBlockKind,
  blockAffinityKind,
  ipamHandleKind,
  ipamConfigurationKind,
  ipReservationKind,
] as unknown as readonly ResourceDefinition[];

/** Finds a kind by any of its names (kind, plural, singular, short name), in any case. */
export function findKind(name: string): ResourceDefinition | undefined {
  const wanted = name.toLowerCase();
  return registry.find(
    (definition) =>
      definition.kind.toLowerCase() === wanted ||
      definition.plural === wanted ||
      definition.singular === wanted ||
      definition.shortNames.includes(wanted),
  );
}
