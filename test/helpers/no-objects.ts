/** The agent's objects by kind, without any object. */
import type { ClusterObjects } from '../../agent/inputs/cluster.ts';

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
