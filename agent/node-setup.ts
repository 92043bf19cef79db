/** What an agent writes before it works: its addresses on the Node, and the objects every cluster has. */
import { createHash, randomBytes } from 'node:crypto';
import type { Datastore } from '../datastore/datastore.ts';
import { DatastoreError } from '../datastore/kubernetes/transport.ts';
import { bgpConfigurationKind } from '../datastore/schema/bgp.ts';
import { clusterInformationKind } from '../datastore/schema/cluster.ts';
import { type Node, nodeAnnotations, nodeKind } from '../datastore/schema/core.ts';
import { CALICO_GROUP } from '../datastore/schema/resource.ts';
import { type NodeInfo, nodeInfo } from '../felix/calc/topology.ts';
import { CodedError } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { chooseAddress, type InterfaceAddress } from './addresses.ts';
import type { AgentConfig } from './config.ts';

/** Publishes this node's addresses. Throws CodedError CONFIG where the configuration cannot work. */
export async function publishNode(
  config: AgentConfig,
  store: Datastore,
  addresses: readonly InterfaceAddress[],
  log: Log,
): Promise<NodeInfo> {
  const node = await store.get(nodeKind, config.node);
  if (!node) {
    throw new CodedError(
      'CONFIG',
      `Node ${config.node} does not exist in the API: set NODENAME to the name that kubectl get nodes shows`,
    );
  }
  const present = node.metadata.annotations ?? {};
  const annotations = {
    [nodeAnnotations.ipv4Address]:
      chooseAddress(4, config.ip, present[nodeAnnotations.ipv4Address], addresses) ?? null,
    [nodeAnnotations.ipv6Address]:
      chooseAddress(6, config.ip6, present[nodeAnnotations.ipv6Address], addresses) ?? null,
    ...(config.asNumber ? { [nodeAnnotations.asNumber]: config.asNumber } : {}),
  };
  if (!annotations[nodeAnnotations.ipv4Address] && !annotations[nodeAnnotations.ipv6Address]) {
    throw new CodedError(
      'CONFIG',
      `node ${config.node} has no address: set IP or IP6 to one of its addresses`,
    );
  }
  await refuseConflict(config.node, annotations, store);
  const isChanged = Object.entries(annotations).some(([key, value]) => (present[key] ?? null) !== value);
  if (!isChanged) return nodeInfo(node);
  log.info({ annotations }, 'publishing the addresses of this node');
  return nodeInfo(
    await store.patch(nodeKind, config.node, { metadata: { annotations } }, { isStatus: true }),
  );
}

async function refuseConflict(
  name: string,
  annotations: Readonly<Record<string, string | null>>,
  store: Datastore,
) {
  for (const other of await store.list(nodeKind)) {
    if (other.metadata.name === name) continue;
    for (const key of [nodeAnnotations.ipv4Address, nodeAnnotations.ipv6Address]) {
      const [mine, theirs] = [annotations[key], (other as Node).metadata.annotations?.[key]];
      if (mine && theirs && mine.split('/')[0] === theirs.split('/')[0]) {
        throw new CodedError(
          'CONFIG',
          `node ${name}: the address ${mine} is that of node ${other.metadata.name} already. Set IP or IP6 to an address of this node, or delete the other Node.`,
        );
      }
    }
  }
}

/** ClusterInformation and BGPConfiguration default, where they are missing (Calico reference 7.5, step 8). */
export async function ensureDefaults(store: Datastore): Promise<void> {
  const apiVersion = `${CALICO_GROUP}/v3`;
  const metadata = { name: 'default' };
  const information = {
    clusterGUID: randomBytes(16).toString('hex'),
    clusterType: 'k8s,bgp,kdd',
    datastoreReady: true,
  };
  for (const [definition, object] of [
    [clusterInformationKind, { apiVersion, kind: 'ClusterInformation', metadata, spec: information }],
    [bgpConfigurationKind, { apiVersion, kind: 'BGPConfiguration', metadata, spec: {} }],
  ] as const) {
    if (await store.get(definition, 'default')) continue;
    await store.create(definition, object).catch((error: unknown) => {
      // Another node was first.
      if (!(error instanceof DatastoreError) || error.code !== 'ALREADY_EXISTS') throw error;
    });
  }
}

/** BGP identifier: the IPv4 address, a hash of the name, or as given (Calico B-020 to B-022). */
export function routerIdOf(config: AgentConfig, node: NodeInfo): string {
  if (config.routerId && config.routerId !== 'hash') return config.routerId;
  const address = node.addresses[4]?.address;
  if (address && config.routerId !== 'hash') return address;
  const hash = createHash('sha256').update(config.node).digest();
  // Below the multicast range.
  const first = hash[0]! > 223 ? hash[0]! - 32 : hash[0]!;
  return [first, hash[1], hash[2], hash[3]].join('.');
}
