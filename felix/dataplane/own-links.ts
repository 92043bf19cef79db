/** Decides which interfaces are the host sides of our pods. Pure. */
import type { KernelState } from '../../kernel/port.ts';
import { isOwnVeth } from '../../model/endpoint.ts';

/** Whether an interface exists and is ours. */
export function isOurs(kernel: KernelState, device: string): boolean {
  const link = kernel.links.get(device);
  return link !== undefined && isOwnVeth(link);
}
