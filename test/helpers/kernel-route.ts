/** A route in the kernel, with one hop. */
import type { KernelRoute } from '../../model/route.ts';

export const kernelRoute = (
  destination: string,
  more: Partial<KernelRoute> & { via?: string; dev?: string } = {},
): KernelRoute => {
  const { via, dev = 'eth0', ...rest } = more;
  return {
    destination,
    type: 'unicast',
    protocol: 2,
    metric: undefined,
    hops: [{ gateway: via, device: dev }],
    ...rest,
  };
};
