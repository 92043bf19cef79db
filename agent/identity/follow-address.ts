/** Follows the address of a running node: it stays while an interface has it, else another one replaces it. */
import type { Node } from '../../datastore/schema/core.ts';
import type { Interfaces, LinkAddress } from '../../kernel/port.ts';
import { type Family, familyOf } from '../../lib/cidr.ts';
import { type NodeInfo, nodeInfo } from '../../model/node.ts';
import type { NodeAddress } from '../../model/node-annotations.ts';
import type { AgentConfig } from '../inputs/environment.ts';
import { type AddressSetting, chooseAddress, type Surroundings } from './autodetect.ts';

/** The node's addresses with the prefix length of their subnets, by family. */
export type NodeCidrs = Readonly<Partial<Record<Family, string>>>;

/** Returns the environment's setting for the address of a family. */
export function addressSetting(
  { ip, ip6, ipMethod, ip6Method }: AgentConfig,
  family: Family,
): AddressSetting {
  return family === 4 ? { value: ip, method: ipMethod } : { value: ip6, method: ip6Method };
}

/** Returns the InternalIPs of a Node, which the kubelet writes. */
export function internalIpsOf({ status }: Node): string[] {
  return (status.addresses ?? []).filter(({ type }) => type === 'InternalIP').map(({ address }) => address);
}

/**
 * Returns the address that a running node should publish, based on the published one. Throws CodedError as
 * chooseAddress does.
 *
 * - A detected address stays while an interface that is up has it, with the prefix length on that interface. A second
 *   address, another uplink or another order of interfaces does not matter.
 * - Otherwise it selects another one. If there is none, an address on an interface that is down stays.
 * - A configured address stays, because only the operator can change it. Without a setting the Node's annotation
 *   applies.
 */
export async function followAddress(
  family: Family,
  setting: AddressSetting,
  { used, annotated }: { used: NodeAddress | undefined; annotated: NodeAddress | undefined },
  surroundings: Surroundings,
): Promise<string | undefined> {
  const { value } = setting;
  if (value === 'none') return undefined;
  if (value === undefined && annotated) return textOf(annotated);
  if (!used) return chooseAddress(family, setting, undefined, surroundings);
  const isFound = value === undefined || value === 'autodetect';
  if (!isFound && value.includes('/')) return textOf(used);
  const places = surroundings.addresses.filter(({ cidr }) => cidr.split('/')[0] === used.address);
  const place = places.find(({ isUp }) => isUp);
  if (place) return place.cidr;
  if (!isFound) return textOf(used);
  const other = await chooseAddress(family, setting, undefined, surroundings);
  // With kubernetes-internal-ip no interface may have it.
  if (other?.split('/')[0] === used.address) return textOf(used);
  const isThere = surroundings.addresses.some(({ cidr, isUp }) => isUp && cidr === other);
  if (isThere) return other;
  return places.length > 0 ? textOf(used) : undefined;
}

/** Runs `followAddress` for both families. If neither has an address, the published ones stay until there is one. */
export async function followAddresses(
  config: AgentConfig,
  self: Pick<NodeInfo, 'addresses'>,
  node: Node,
  surroundings: Surroundings,
): Promise<NodeCidrs> {
  const annotated = nodeInfo(node).addresses;
  const found: Partial<Record<Family, string>> = {};
  for (const family of [4, 6] as const) {
    const ways = { used: self.addresses[family], annotated: annotated[family] };
    const cidr = await followAddress(family, addressSetting(config, family), ways, surroundings);
    if (cidr) found[family] = cidr;
  }
  return Object.keys(found).length > 0 ? found : cidrsOf(self);
}

export function cidrsOf({ addresses }: Pick<NodeInfo, 'addresses'>): NodeCidrs {
  return Object.fromEntries(Object.entries(addresses).map(([family, address]) => [family, textOf(address)]));
}

/** Converts interfaces of the kernel's state to the input of autodetection. */
export function interfaceAddresses({ links, addresses }: Interfaces): LinkAddress[] {
  const index = (device: string) => links.get(device)?.index ?? Number.MAX_SAFE_INTEGER;
  return addresses
    .map((one) => ({
      device: one.device,
      isUp: links.get(one.device)?.isUp ?? false,
      mtu: links.get(one.device)?.mtu ?? 0,
      cidr: one.cidr,
      scope: one.isLinkScope ? 'link' : 'global',
      isTentative: one.isTentative ?? false,
      isFleeting: one.isFleeting ?? false,
    }))
    .sort((a, b) => familyOf(a.cidr) - familyOf(b.cidr) || index(a.device) - index(b.device));
}

function textOf({ address, length }: NodeAddress): string {
  return `${address}/${length}`;
}
