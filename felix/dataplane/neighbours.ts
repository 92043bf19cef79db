/** Plans changes to the pods' neighbour entries, and finds addresses that moved. Pure. */
import type { NeighbourChange } from '../../kernel/change.ts';
import type { KernelState } from '../../kernel/port.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import { isOurs } from './own-links.ts';

/** Keeps a permanent neighbour per pod address, so that the node needs no ARP or ND (Calico F-013). */
export function planNeighbours(endpoints: readonly Endpoint[], kernel: KernelState): NeighbourChange[] {
  const changes: NeighbourChange[] = [];
  const wanted = new Map<string, { address: string; device: string; mac: string }>();
  for (const { interfaceName: device, addresses, mac } of endpoints) {
    if (!kernel.links.has(device)) continue;
    for (const address of addresses) wanted.set(`${address}%${device}`, { address, device, mac });
  }
  const present = new Map(
    kernel.neighbours
      .filter(({ device }) => isOurs(kernel, device))
      .map((neighbour) => [`${neighbour.address}%${neighbour.device}`, neighbour]),
  );
  for (const [key, { address, device, mac }] of wanted) {
    if (present.get(key)?.mac !== mac)
      changes.push({ object: 'neighbour', verb: 'replace', address, device, mac });
  }
  for (const [key, { address, device }] of present) {
    if (!wanted.has(key)) changes.push({ object: 'neighbour', verb: 'del', address, device });
  }
  return changes;
}

/** Returns addresses that were removed or moved to another interface (Calico reference 3.3, conntrack). */
export function movedAddresses(before: readonly Endpoint[], after: readonly Endpoint[]): string[] {
  const now = new Map(
    after.flatMap(({ interfaceName, addresses }) => addresses.map((address) => [address, interfaceName])),
  );
  return before.flatMap(({ interfaceName, addresses }) =>
    addresses.filter((address) => now.get(address) !== interfaceName),
  );
}
