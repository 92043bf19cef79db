/**
 * Finds the cluster's pod network, for the first pools. Each family comes from the first source that has it: kubeadm's
 * configuration (also written by kind), kube-proxy's, then the podCIDRs of existing nodes.
 */
import type { Datastore } from '../../datastore/datastore.ts';
import { configMapKind, nodeKind } from '../../datastore/schema/core.ts';
import {
  type Cidr,
  canonicalCidr,
  type Family,
  familyOf,
  formatCidr,
  networkOf,
  parseCidr,
} from '../../lib/cidr.ts';
import { counted } from '../../lib/counted.ts';

/** A network, and a phrase with its source. */
export interface FoundNetwork {
  readonly cidr: string;
  readonly source: string;
}

/**
 * Longest prefix of a pool around podCIDRs, because a pool cannot grow. IPv4 nodes have a /24 each, which holds few
 * blocks, so the pool is the /16 around them, as in most clusters. For IPv6 the nodes' /64 networks suffice.
 */
const WIDEST: Readonly<Record<Family, number>> = { 4: 16, 6: 128 };
/** With host-local, pods have addresses from podCIDRs, so the pool must also hold those of future nodes. */
const WIDEST_HOST_LOCAL: Readonly<Record<Family, number>> = { 4: 16, 6: 48 };

/** Returns the pod network by family. Throws DatastoreError. */
export async function podNetwork(
  store: Datastore,
  ipam: 'cali-ipam' | 'host-local',
): Promise<Partial<Record<Family, FoundNetwork>>> {
  const read = async (name: string, key: string) =>
    (await store.get(configMapKind, name, 'kube-system').catch(() => undefined))?.data?.[key] ?? '';
  const found: Partial<Record<Family, FoundNetwork>> = {};
  for (const [name, key, field] of [
    ['kubeadm-config', 'ClusterConfiguration', 'podSubnet'],
    ['kube-proxy', 'config.conf', 'clusterCIDR'],
  ] as const)
    for (const cidr of networksIn(await read(name, key), field))
      found[familyOf(cidr)] ??= { cidr, source: `${field} of ConfigMap ${name}` };
  if (found[4] && found[6]) return found;
  const nodes = await store.list(nodeKind);
  const seen = nodes
    .flatMap(({ spec }) => spec.podCIDRs ?? (spec.podCIDR ? [spec.podCIDR] : []))
    .flatMap((text) => parseCidr(text) ?? []);
  const widest = ipam === 'host-local' ? WIDEST_HOST_LOCAL : WIDEST;
  for (const family of [4, 6] as const) {
    const around = smallestAround(seen.filter((cidr) => cidr.family === family));
    if (!around || found[family]) continue;
    const length = Math.min(around.length, widest[family]);
    found[family] = {
      cidr: formatCidr(networkOf({ ...around, length })),
      source: `podCIDRs of ${counted(nodes.length, 'node')}`,
    };
  }
  return found;
}

/** Returns the networks in a field of a YAML document, which are separated by commas. */
function networksIn(yaml: string, field: string): string[] {
  const value = new RegExp(`^[ \\t]*${field}:[ \\t]*["']?([^"'\\s#]+)`, 'm').exec(yaml)?.[1] ?? '';
  return value.split(',').flatMap((text) => canonicalCidr(text.trim()) ?? []);
}

/** Returns the smallest network that contains all of these, which have the same family; undefined for none. */
export function smallestAround([first, ...rest]: readonly Cidr[]): Cidr | undefined {
  if (!first) return undefined;
  const at = (cidr: Cidr, length: number) => networkOf({ ...cidr, length }).value;
  let length = Math.min(first.length, ...rest.map((cidr) => cidr.length));
  while (rest.some((cidr) => at(cidr, length) !== at(first, length))) length--;
  return networkOf({ ...first, length });
}
