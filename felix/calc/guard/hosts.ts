/** The BGP speakers of the cluster with their addresses and ports: nodes, reflector Deployments, pods of this node. */
import type { BGPConfiguration } from '../../../datastore/schema/bgp-configuration.ts';
import type { BGPPeer } from '../../../datastore/schema/bgp-peer.ts';
import type { Node } from '../../../datastore/schema/core.ts';
import { formatAddress, parseAddress } from '../../../lib/cidr.ts';
import { whyNoHost } from '../../../lib/host-address.ts';
import { type NodeInfo, nodeInfo } from '../../../model/node.ts';
import { BGP_PORT, defaultsOf, listenPort } from '../bgp/cluster.ts';
import type { ReflectorInfo } from '../bgp/reflectors.ts';
import { selectsNode } from '../bgp/selection.ts';
import { selectedWorkloads, type Workload } from '../bgp/workloads.ts';
import type { GuardHost, GuardPeer } from './input.ts';

/**
 * All nodes with all their addresses, and all reflectors. Port 179 is always included, because a running speaker keeps
 * the port that it started with.
 */
export function guardHosts(
  nodes: readonly Node[],
  reflectors: readonly ReflectorInfo[],
  configurations: readonly BGPConfiguration[],
): GuardHost[] {
  const cluster = defaultsOf(configurations).listenPort ?? BGP_PORT;
  const machines = nodes.map((node) => {
    const addresses = addressesOf(node);
    const own = reflectors.filter((reflector) =>
      bgpAddresses(reflector).some((one) => addresses.includes(one)),
    );
    const ports = [BGP_PORT, cluster, listenPort(node.metadata.name, configurations), ...portsOf(own)];
    return { addresses, bgpPorts: [...new Set(ports)] };
  });
  const known = new Set(machines.flatMap(({ addresses }) => addresses));
  const elsewhere = reflectors
    .map((reflector) => ({
      addresses: bgpAddresses(reflector).filter((one) => !known.has(one)),
      bgpPorts: portsOf([reflector]),
    }))
    .filter(({ addresses }) => addresses.length > 0);
  return [...machines, ...elsewhere];
}

/** Ports of this node's own speakers: its agent, and reflectors, which may run here. */
export function ownBgpPorts(
  node: string,
  reflectors: readonly ReflectorInfo[],
  configurations: readonly BGPConfiguration[],
): number[] {
  const cluster = defaultsOf(configurations).listenPort ?? BGP_PORT;
  return [...new Set([BGP_PORT, cluster, listenPort(node, configurations), ...portsOf(reflectors)])];
}

/** Pods of this node that BGPPeers of this node select (Calico B-065). */
export function guardPeers(
  self: Pick<NodeInfo, 'name' | 'labels'>,
  peers: readonly BGPPeer[],
  configurations: readonly BGPConfiguration[],
  workloads: readonly Workload[],
): GuardPeer[] {
  const chosen = new Map<string, boolean>();
  for (const peer of peers.filter(({ spec }) => selectsNode(spec, self))) {
    const hasBfd = (peer.spec.bfd ?? defaultsOf(configurations).bfd) !== undefined;
    for (const { interfaceName } of selectedWorkloads(peer, workloads))
      chosen.set(interfaceName, hasBfd || (chosen.get(interfaceName) ?? false));
  }
  return [...chosen].map(([interfaceName, hasBfd]) => ({ interfaceName, hasBfd }));
}

/** Maximum of addresses to take from a kubelet, which may list any address in its own Node. */
const MAX_LISTED = 16;

/** A Node's addresses for BGP and tunnels, and those that its kubelet lists, except addresses that no host can have. */
function addressesOf(node: Node): string[] {
  const info = nodeInfo(node);
  const ofMachine = (node.status.addresses ?? []).filter(({ type }) => /^(In|Ex)ternalIP$/.test(type));
  const listed = ofMachine.slice(0, MAX_LISTED).flatMap(({ address }) => {
    const parsed = parseAddress(address);
    return parsed && !whyNoHost(parsed) ? [formatAddress(parsed)] : [];
  });
  const inTunnels = Object.values(info.tunnels).map(({ address }) => address);
  return [...new Set([...bgpAddresses(info), ...listed, ...inTunnels])];
}

function bgpAddresses({ addresses }: NodeInfo): string[] {
  return Object.values(addresses).map(({ address }) => address);
}

function portsOf(reflectors: readonly ReflectorInfo[]): number[] {
  return reflectors.map(({ port }) => port).filter((port) => port > 0);
}
