/** The objects for calculations: those of the view, or without those that make a calculation throw. */
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
 * Returns the objects by kind. Kinds that others refer to come first, so that of two objects that conflict, the
 * referring one is left out.
 */
export function objectsOf(view: Cluster) {
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

type Lists = ReturnType<typeof objectsOf>;

export type ClusterObjects = { readonly [Kind in keyof Lists]: Readonly<Lists[Kind]> };

export const NO_OBJECTS: ClusterObjects = {
  Node: [],
  FelixConfiguration: [],
  BGPConfiguration: [],
  IPPool: [],
  IPAMBlock: [],
  BlockAffinity: [],
  BGPFilter: [],
  BGPPeer: [],
  Service: [],
  EndpointSlice: [],
};

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
