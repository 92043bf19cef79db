/** Which address a running node goes on with: the one that it has as long as an interface has it, else another one. */
import type { Node } from '../datastore/schema/core.ts';
import type { NodeAddress } from '../felix/calc/annotations.ts';
import { type NodeInfo, nodeInfo } from '../felix/calc/topology.ts';
import type { KernelState } from '../felix/dataplane/kernel.ts';
import { type Family, familyOf } from '../lib/cidr.ts';
import { type AddressSetting, chooseAddress, type InterfaceAddress, type Surroundings } from './addresses.ts';
import type { AgentConfig } from './config.ts';

/** The part of the kernel's state that is looked at. */
export type Interfaces = Pick<KernelState, 'links' | 'addresses'>;

/** The node's addresses with the length of their subnets, by family. */
export type NodeCidrs = Readonly<Partial<Record<Family, string>>>;

/** What the environment says about the address of a family. */
export function addressSetting(
  { ip, ip6, ipMethod, ip6Method }: AgentConfig,
  family: Family,
): AddressSetting {
  return family === 4 ? { value: ip, method: ipMethod } : { value: ip6, method: ip6Method };
}

/** InternalIPs of a Node: kubelet writes them. */
export function internalIpsOf({ status }: Node): string[] {
  return (status.addresses ?? []).filter(({ type }) => type === 'InternalIP').map(({ address }) => address);
}

/**
 * What a node in use should publish, given what it has published. Throws CodedError as chooseAddress does.
 *
 * - An address that was found stays while an interface that is up has it, with the prefix length that it has there: a
 *   second address, another uplink or another order of interfaces changes nothing.
 * - Otherwise another one is looked for. Where there is none, an address on an interface that is down stays.
 * - One that was given stays: only a person knows another. Without a setting the Node's annotation counts.
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
  // By kubernetes-internal-ip it may be one that no interface has.
  if (other?.split('/')[0] === used.address) return textOf(used);
  const isThere = surroundings.addresses.some(({ cidr, isUp }) => isUp && cidr === other);
  if (isThere) return other;
  return places.length > 0 ? textOf(used) : undefined;
}

/** `followAddress` for both families. With no address at all nothing changes: the node waits for one. */
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

/** The interfaces of a look, as autodetection takes them. */
export function interfaceAddresses({ links, addresses }: Interfaces): InterfaceAddress[] {
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
