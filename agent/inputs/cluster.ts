/** The objects for calculations: those of the view, or without those that make a calculation throw. */
import type { BGPConfiguration } from '../../datastore/schema/bgp-configuration.ts';
import type { BGPFilter } from '../../datastore/schema/bgp-filter.ts';
import type { BGPPeer } from '../../datastore/schema/bgp-peer.ts';
import type { FelixConfiguration } from '../../datastore/schema/cluster.ts';
import type { EndpointSlice, Node, Service } from '../../datastore/schema/core.ts';
import type { IPPool } from '../../datastore/schema/ip-pool.ts';
import type { BlockAffinity, IPAMBlock } from '../../datastore/schema/ipam.ts';
import type { View } from './view.ts';

/** The parts of a view that calculations read. */
export type Cluster = Pick<
  View,
  | 'nodes'
  | 'pools'
  | 'blocks'
  | 'affinities'
  | 'bgpConfigurations'
  | 'bgpPeers'
  | 'bgpFilters'
  | 'services'
  | 'slices'
  | 'felixConfigurations'
  | 'nodeLabels'
  | 'pod'
  | 'namespace'
>;

/**
 * Objects by kind. Kinds that others refer to come first, so that of two objects that conflict, the referring one is
 * left out.
 */
export interface ClusterObjects {
  readonly Node: readonly Node[];
  readonly FelixConfiguration: readonly FelixConfiguration[];
  readonly BGPConfiguration: readonly BGPConfiguration[];
  readonly IPPool: readonly IPPool[];
  readonly IPAMBlock: readonly IPAMBlock[];
  readonly BlockAffinity: readonly BlockAffinity[];
  readonly BGPFilter: readonly BGPFilter[];
  readonly BGPPeer: readonly BGPPeer[];
  readonly Service: readonly Service[];
  readonly EndpointSlice: readonly EndpointSlice[];
}

export function objectsOf(view: Cluster): ClusterObjects {
  return {
    Node: view.nodes(),
    FelixConfiguration: view.felixConfigurations(),
    BGPConfiguration: view.bgpConfigurations(),
    IPPool: view.pools(),
    IPAMBlock: view.blocks(),
    BlockAffinity: view.affinities(),
    BGPFilter: view.bgpFilters(),
    BGPPeer: view.bgpPeers(),
    Service: view.services(),
    EndpointSlice: view.slices(),
  };
}

/** Returns a cluster with these objects instead of the view's. `node` is this node's name. */
export function clusterOf(
  objects: ClusterObjects,
  node: string,
  view: Pick<Cluster, 'pod' | 'namespace'>,
): Cluster {
  return {
    nodes: () => [...objects.Node],
    pools: () => [...objects.IPPool],
    blocks: () => [...objects.IPAMBlock],
    affinities: () => [...objects.BlockAffinity],
    bgpConfigurations: () => [...objects.BGPConfiguration],
    bgpPeers: () => [...objects.BGPPeer],
    bgpFilters: () => [...objects.BGPFilter],
    services: () => [...objects.Service],
    slices: () => [...objects.EndpointSlice],
    felixConfigurations: () => [...objects.FelixConfiguration],
    nodeLabels: () => objects.Node.find(({ metadata }) => metadata.name === node)?.metadata.labels ?? {},
    pod: view.pod,
    namespace: view.namespace,
  };
}
