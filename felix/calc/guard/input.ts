/** Input of the guard. All values are parsed; addresses and networks are canonical text. */
import type { TunnelKind } from '../../../model/tunnel.ts';

/** A machine with a BGP speaker of the cluster: a node, or a reflector of a Deployment. */
export interface GuardHost {
  /** All its addresses: for BGP, in its Node's status, and in tunnels. */
  readonly addresses: readonly string[];
  /** TCP ports that its speaker may listen on. */
  readonly bgpPorts: readonly number[];
}

/** A pod of this node that a BGPPeer selects. */
export interface GuardPeer {
  readonly interfaceName: string;
  readonly hasBfd: boolean;
}

/** A pod of this node that may send from additional networks. */
export interface GuardSpoofer {
  readonly interfaceName: string;
  readonly prefixes: readonly string[];
}

export interface GuardInput {
  readonly hosts: readonly GuardHost[];
  /** Addresses and networks that may send us encapsulated packets. */
  readonly encapsulators: readonly string[];
  /** Addresses of nodes on this node's link. Their BFD packets arrive with TTL 255. */
  readonly neighbours: readonly string[];
  /** TCP ports of this node's own speakers. */
  readonly ownBgpPorts: readonly number[];
  readonly peers: readonly GuardPeer[];
  readonly spoofers: readonly GuardSpoofer[];
  /** Tunnel devices of this node. */
  readonly tunnels: readonly TunnelKind[];
  /** False until the datastore is in sync. Until then, absence from these lists closes nothing. */
  readonly isClusterKnown: boolean;
  readonly vxlanPort: number;
  readonly vxlanVni: number;
  readonly allowsIpipFromPods: boolean;
  readonly allowsVxlanFromPods: boolean;
}
