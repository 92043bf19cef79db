/** What BGPConfiguration and the Nodes say about the cluster: AS numbers, ports, priorities (Calico 2.3). */
import type { BGPConfiguration } from '../../../datastore/schema/bgp.ts';
import type { Family } from '../../../lib/cidr.ts';
import type { NodeInfo } from '../topology.ts';

type ConfigurationSpec = BGPConfiguration['spec'];

/** AS number of a cluster that sets none (Calico). */
export const DEFAULT_AS = 64512;
export const BGP_PORT = 179;
/** Kernel metric of a route that says nothing else (Calico B-071). */
const NORMAL_PRIORITY = 1024;

/** Spec of BGPConfiguration `default`; empty when there is none. */
export function defaultsOf(configurations: readonly BGPConfiguration[]): ConfigurationSpec {
  return configurations.find(({ metadata }) => metadata.name === 'default')?.spec ?? {};
}

/** Spec of a node's own BGPConfiguration. */
export function ownOf(node: string, configurations: readonly BGPConfiguration[]): ConfigurationSpec {
  return configurations.find(({ metadata }) => metadata.name === `node.${node}`)?.spec ?? {};
}

/** TCP port of a node: its own BGPConfiguration, the default one, 179 (Calico B-024). */
export function listenPort(node: string, configurations: readonly BGPConfiguration[]): number {
  return ownOf(node, configurations).listenPort ?? defaultsOf(configurations).listenPort ?? BGP_PORT;
}

/** Whether a learned default route is used: as the node's own BGPConfiguration says, else the default one. */
export function acceptDefaultRoute(
  node: string,
  configurations: readonly BGPConfiguration[],
): NonNullable<ConfigurationSpec['acceptDefaultRoute']> {
  const { acceptDefaultRoute: own } = ownOf(node, configurations);
  return own ?? defaultsOf(configurations).acceptDefaultRoute ?? 'IfNone';
}

/** AS number of a node: its annotation, the default configuration's, 64512 (Calico B-026). */
export function asNumberOf(node: NodeInfo, configurations: readonly BGPConfiguration[]): number {
  return node.asNumber ?? defaultsOf(configurations).asNumber ?? DEFAULT_AS;
}

/** Priority of ordinary routes of a family. */
export function normalPriority(family: Family, configurations: readonly BGPConfiguration[]): number {
  const spec = defaultsOf(configurations);
  return (family === 4 ? spec.ipv4NormalRoutePriority : spec.ipv6NormalRoutePriority) ?? NORMAL_PRIORITY;
}
