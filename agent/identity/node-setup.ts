/** Set-up of an agent: it publishes its addresses on the Node and creates the objects that every cluster has. */
import { randomBytes } from 'node:crypto';
import { hasSocketOptions } from '../../bgp/transport/socket-options.ts';
import { createMissing } from '../../datastore/create-missing.ts';
import type { Datastore } from '../../datastore/datastore.ts';
import { DatastoreError } from '../../datastore/errors.ts';
import { bgpConfigurationKind } from '../../datastore/schema/bgp-configuration.ts';
import { clusterInformationKind, felixConfigurationKind } from '../../datastore/schema/cluster.ts';
import { nodeAnnotations, nodeKind } from '../../datastore/schema/core.ts';
import { ipPoolKind } from '../../datastore/schema/ip-pool.ts';
import { ipamConfigurationKind } from '../../datastore/schema/ipam.ts';
import { CALICO_GROUP } from '../../datastore/schema/resource.ts';
import { getTolerant } from '../../datastore/tolerant.ts';
import type { LinkAddress } from '../../kernel/port.ts';
import { type Family, formatAddress, parseCidr } from '../../lib/cidr.ts';
import { CodedError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { type NodeInfo, nodeInfo } from '../../model/node.ts';
import type { AgentConfig } from '../inputs/environment.ts';
import { poolOf } from '../inputs/pool-settings.ts';
import { chooseAddress, type Surroundings } from './autodetect.ts';
import { addressSetting, followAddresses, internalIpsOf } from './follow-address.ts';
import { type FoundNetwork, podNetwork } from './pod-network.ts';
import { hashedRouterId } from './router-id.ts';

export interface PublishModules {
  readonly store: Datastore;
  /** Returns the addresses of the interfaces now. */
  readonly addresses: () => readonly LinkAddress[];
  readonly sourceTowards: Surroundings['sourceTowards'];
  readonly log: Log;
}

/**
 * Publishes this node's addresses, selected from those of its interfaces when the API has answered. `self` is the node
 * as a running agent has published it, which stays if possible. Throws CodedError: CONFIG when the configuration cannot
 * work; NODE_MISSING, NO_ADDRESS or ADDRESS_CONFLICT when a retry may succeed.
 */
export async function publishNode(
  config: AgentConfig,
  { store, addresses: addressesNow, sourceTowards, log }: PublishModules,
  self?: NodeInfo,
): Promise<NodeInfo> {
  const node = await store.get(nodeKind, config.node);
  // The request may take long, and a missing address may return meanwhile.
  const addresses = addressesNow();
  if (!node) {
    throw new CodedError(
      'NODE_MISSING',
      `Node ${config.node} does not exist in the API: register it, or set NODENAME to the name that kubectl get nodes shows`,
    );
  }
  const present = node.metadata.annotations ?? {};
  const internalIps = internalIpsOf(node);
  const warn = (sentence: string) => log.warn({ node: config.node }, `node ${config.node}: ${sentence}`);
  const surroundings = { addresses, internalIps, sourceTowards, warn };
  const choose = async (family: Family, key: string) =>
    chooseAddress(family, addressSetting(config, family), present[key], surroundings);
  const chosen = self
    ? await followAddresses(config, self, node, surroundings)
    : { 4: await choose(4, nodeAnnotations.ipv4Address), 6: await choose(6, nodeAnnotations.ipv6Address) };
  const annotations = {
    [nodeAnnotations.ipv4Address]: chosen[4] ?? null,
    [nodeAnnotations.ipv6Address]: chosen[6] ?? null,
    [nodeAnnotations.bgpTTLSecurity]:
      config.backend === 'bird' && config.meshTtlSecurity && hasSocketOptions() ? '1' : null,
    ...(config.asNumber ? { [nodeAnnotations.asNumber]: config.asNumber } : {}),
  };
  if (!annotations[nodeAnnotations.ipv4Address] && !annotations[nodeAnnotations.ipv6Address]) {
    // An interface that is starting may get one.
    const mayCome = [config.ip, config.ip6].some((value) => value === undefined || value === 'autodetect');
    throw new CodedError(
      mayCome ? 'NO_ADDRESS' : 'CONFIG',
      `node ${config.node} has no address: set IP or IP6 to one of its addresses`,
    );
  }
  await refuseConflict(config.node, annotations, internalIps, store, log);
  const isChanged = Object.entries(annotations).some(([key, value]) => (present[key] ?? null) !== value);
  if (!isChanged) return nodeInfo(node);
  log.info({ annotations }, 'publishing node addresses');
  return nodeInfo(
    await store.patch(nodeKind, config.node, { metadata: { annotations } }, { isStatus: true }),
  );
}

/**
 * Refuses an address that another Node claims. Root on that node can write its annotation, but not the InternalIP of
 * this Node, so an address that the kubelet reports stays ours. Throws CodedError ADDRESS_CONFLICT for others; retry
 * later.
 */
async function refuseConflict(
  name: string,
  annotations: Readonly<Record<string, string | null>>,
  internalIps: readonly string[],
  store: Datastore,
  log: Log,
) {
  const owned = new Set(internalIps.map(addressOf));
  for (const other of await store.list(nodeKind)) {
    if (other.metadata.name === name) continue;
    for (const key of [nodeAnnotations.ipv4Address, nodeAnnotations.ipv6Address]) {
      const mine = addressOf(annotations[key]);
      if (mine === undefined || mine !== addressOf(other.metadata.annotations?.[key])) continue;
      const sentence = `node ${name}: Node ${other.metadata.name} also has the address ${mine} in its annotation ${key}.`;
      if (!owned.has(mine)) {
        throw new CodedError(
          'ADDRESS_CONFLICT',
          `${sentence} Set IP or IP6 to an address of this node, or delete the other Node.`,
        );
      }
      log.warn(
        { address: mine, other: other.metadata.name },
        `${sentence} It is the InternalIP of this Node and stays in use: correct the other Node.`,
      );
    }
  }
}

/** Returns the canonical text of an address without its prefix length; undefined when malformed. */
function addressOf(text: string | null | undefined): string | undefined {
  const parsed = text ? parseCidr(text) : undefined;
  return parsed && formatAddress(parsed);
}

/**
 * Creates ClusterInformation, FelixConfiguration, BGPConfiguration and IPAMConfiguration `default` when missing (Calico
 * reference 7.5, step 8).
 */
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
    [
      felixConfigurationKind,
      { apiVersion, kind: 'FelixConfiguration', metadata, spec: { logSeverityScreen: 'Info' } },
    ],
    [bgpConfigurationKind, { apiVersion, kind: 'BGPConfiguration', metadata, spec: {} }],
    [
      ipamConfigurationKind,
      {
        apiVersion,
        kind: 'IPAMConfiguration',
        metadata,
        spec: { strictAffinity: false, autoAllocateBlocks: true, maxBlocksPerHost: 0 },
      },
    ],
  ] as const) {
    const { object: present, unreadable } = await getTolerant(store, definition, 'default');
    if (present || unreadable) continue;
    // Another node may be first.
    await createMissing(store, definition, object);
  }
}

/** Pod network of a cluster that does not define one (Calico). */
const FALLBACK_CIDR = '192.168.0.0/16';

/** Creates pools if the cluster has none (Calico reference 7.5, step 7). Returns the new ones and their sources. */
export async function ensurePools(
  { defaultPools, ipam }: AgentConfig,
  families: readonly Family[],
  store: Datastore,
): Promise<FoundNetwork[]> {
  if (!defaultPools.isWanted) return [];
  // Unreadable pools count: the agent must not replace pools of the cluster.
  const { items, problems } = await store.listing(ipPoolKind);
  if (items.length + problems.length > 0) return [];
  const network = await podNetwork(store, ipam);
  const made: FoundNetwork[] = [];
  for (const family of families) {
    const set = defaultPools.cidrs[family];
    if (set === 'none') continue;
    const fallback = family === 4 ? { cidr: FALLBACK_CIDR, source: 'default' } : undefined;
    const chosen = set
      ? { cidr: set, source: `CALICO_IPV${family}POOL_CIDR` }
      : (network[family] ?? fallback);
    if (!chosen) continue;
    const { cidr } = chosen;
    const pool = poolOf(defaultPools, family, cidr);
    try {
      // Validate here, because a server without our rules would accept anything.
      ipPoolKind.schema.parse(pool);
      await store.create(ipPoolKind, pool);
      made.push(chosen);
    } catch (error) {
      if (!(error instanceof DatastoreError) || error.code !== 'ALREADY_EXISTS') throw error;
    }
  }
  return made;
}

/** Returns the BGP identifier: the IPv4 address, a hash of the name, or the configured one (Calico B-020 to B-022). */
export function routerIdOf(config: AgentConfig, node: NodeInfo): string {
  if (config.routerId && config.routerId !== 'hash') return config.routerId;
  const address = node.addresses[4]?.address;
  if (address && config.routerId !== 'hash') return address;
  return hashedRouterId(config.node);
}
