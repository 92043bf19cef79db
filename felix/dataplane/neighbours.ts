/** Permanent neighbours of pods, so that the node needs no ARP or ND (Calico F-013), and addresses that moved. Pure. */
import type { Neighbour } from '../../kernel/port.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import type { LinkObjectKind } from './link-objects.ts';
import { shownBy } from './object-changes.ts';

/** Keyed by address and interface. The CNI server has already programmed the neighbour of a new pod. */
export const neighbours: LinkObjectKind<Neighbour> = {
  name: 'neighbours',
  urgency: 'confirm',
  key: ({ address, device }) => `${address} ${device}`,
  desired: ({ endpoints }) =>
    endpoints.flatMap(({ interfaceName: device, addresses, mac }) =>
      addresses.map((address) => ({ address, device, mac })),
    ),
  observed: (kernel) => kernel.neighbours,
  isSame: (wanted, present) => wanted.mac === present.mac,
  put: ({ address, device, mac }) => ({ object: 'neighbour', verb: 'replace', address, device, mac }),
  remove: ({ address, device }) => ({ object: 'neighbour', verb: 'del', address, device }),
  shown: shownBy,
};

/** Returns addresses that were removed or moved to another interface (Calico reference 3.3, conntrack). */
export function movedAddresses(before: readonly Endpoint[], after: readonly Endpoint[]): string[] {
  const now = new Map(
    after.flatMap(({ interfaceName, addresses }) => addresses.map((address) => [address, interfaceName])),
  );
  return before.flatMap(({ interfaceName, addresses }) =>
    addresses.filter((address) => now.get(address) !== interfaceName),
  );
}
