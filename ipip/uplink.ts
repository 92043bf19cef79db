/** MTU of the path to other nodes, from the kernel's interfaces. */

import type { Interfaces } from '../kernel/port.ts';
import type { NodeInfo } from '../model/node.ts';

/** Default without a suitable interface (Calico 3.4). */
const FALLBACK_MTU = 1460;

/**
 * Returns the smallest MTU of the interfaces that are up and match the pattern; when none matches, that of the
 * interface with the node's address.
 */
export function uplinkMtu({ links, addresses }: Interfaces, self: NodeInfo, pattern: RegExp): number {
  const up = [...links.values()].filter(({ isUp }) => isUp);
  const matching = up.filter(({ name }) => pattern.test(name)).map(({ mtu }) => mtu);
  if (matching.length > 0) return Math.min(...matching);
  const own = Object.values(self.addresses).map(({ address }) => address);
  const holder = addresses.find(({ cidr }) => own.includes(cidr.split('/')[0]!));
  return (holder && links.get(holder.device)?.mtu) ?? FALLBACK_MTU;
}
