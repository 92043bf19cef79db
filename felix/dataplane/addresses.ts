/** Plans changes to this node's addresses on the pods' veths. Pure. */
import type { InterfaceAddress, KernelState } from '../../kernel/port.ts';
import { isOurs } from './own-links.ts';

/** Returns commands that add missing addresses to our interfaces and remove unwanted ones. */
export function addressCommands(wanted: readonly InterfaceAddress[], kernel: KernelState): string[] {
  const key = ({ device, cidr }: InterfaceAddress) => `${cidr} dev ${device}`;
  const present = kernel.addresses.filter(({ device }) => isOurs(kernel, device)).map(key);
  const missing = wanted.filter(({ device }) => kernel.links.has(device)).map(key);
  return [
    ...missing.filter((one) => !present.includes(one)).map((one) => `address add ${one}`),
    ...present.filter((one) => !missing.includes(one)).map((one) => `address del ${one}`),
  ];
}
