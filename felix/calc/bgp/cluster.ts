/** AS numbers, ports and priorities of the cluster, from BGPConfiguration and the Nodes (Calico 2.3). */
import type { BGPConfiguration } from '../../../datastore/schema/bgp-configuration.ts';
import type { Family } from '../../../lib/cidr.ts';
import type { NodeInfo } from '../../../model/node.ts';

type ConfigurationSpec = BGPConfiguration['spec'];

/** Default AS number of a cluster (Calico). */
export const DEFAULT_AS = 64512;
export const BGP_PORT = 179;
/** Default kernel metric of a route (Calico B-071). */
const NORMAL_PRIORITY = 1024;

/** Returns the spec of BGPConfiguration `default`; empty when there is none. */
export function defaultsOf(configurations: readonly BGPConfiguration[]): ConfigurationSpec {
  return configurations.find(({ metadata }) => metadata.name === 'default')?.spec ?? {};
}

/** Returns the spec of a node's own BGPConfiguration; empty when there is none. */
export function ownOf(node: string, configurations: readonly BGPConfiguration[]): ConfigurationSpec {
  return configurations.find(({ metadata }) => metadata.name === `node.${node}`)?.spec ?? {};
}

/** Returns the TCP port of a node, from its own BGPConfiguration, else the default one, else 179 (Calico B-024). */
export function listenPort(node: string, configurations: readonly BGPConfiguration[]): number {
  return ownOf(node, configurations).listenPort ?? defaultsOf(configurations).listenPort ?? BGP_PORT;
}

/** Returns whether a learned default route is used, from the node's own BGPConfiguration, else the default one. */
export function acceptDefaultRoute(
  node: string,
  configurations: readonly BGPConfiguration[],
): NonNullable<ConfigurationSpec['acceptDefaultRoute']> {
  const { acceptDefaultRoute: own } = ownOf(node, configurations);
  return own ?? defaultsOf(configurations).acceptDefaultRoute ?? 'IfNone';
}

/** Returns the AS number of a node, from its annotation, else BGPConfiguration `default`, else 64512 (Calico B-026). */
export function asNumberOf(node: NodeInfo, configurations: readonly BGPConfiguration[]): number {
  return node.asNumber ?? defaultsOf(configurations).asNumber ?? DEFAULT_AS;
}

/** Returns the priority of ordinary routes of a family. */
export function normalPriority(family: Family, configurations: readonly BGPConfiguration[]): number {
  const spec = defaultsOf(configurations);
  return (family === 4 ? spec.ipv4NormalRoutePriority : spec.ipv6NormalRoutePriority) ?? NORMAL_PRIORITY;
}
