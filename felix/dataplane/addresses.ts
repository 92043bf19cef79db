/** Plans changes to this node's addresses on the pods' veths. Pure. */
import type { AddressChange } from '../../kernel/change.ts';
import type { InterfaceAddress, KernelState } from '../../kernel/port.ts';
import { isOurs } from './own-links.ts';

/** Adds missing addresses to our interfaces and removes unwanted ones. */
export function planAddresses(wanted: readonly InterfaceAddress[], kernel: KernelState): AddressChange[] {
  const key = ({ device, cidr }: InterfaceAddress) => `${cidr} ${device}`;
  const change = (verb: 'add' | 'del', { device, cidr }: InterfaceAddress): AddressChange => ({
    ...{ object: 'address', verb, cidr, device },
  });
  const present = kernel.addresses.filter(({ device }) => isOurs(kernel, device));
  const possible = wanted.filter(({ device }) => kernel.links.has(device));
  const presentKeys = new Set(present.map(key));
  const wantedKeys = new Set(possible.map(key));
  return [
    ...possible.filter((one) => !presentKeys.has(key(one))).map((one) => change('add', one)),
    ...present.filter((one) => !wantedKeys.has(key(one))).map((one) => change('del', one)),
  ];
}
