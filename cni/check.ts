/** What CHECK compares: an endpoint as ADD created it, and the kernel. */
import type { KernelState } from '../kernel/port.ts';
import { hostCidr } from '../lib/cidr.ts';
import type { Endpoint } from '../model/endpoint.ts';

/** Returns a sentence for each difference. `netns` is the path that the runtime gives. */
export function checkProblems(
  endpoint: Pick<Endpoint, 'interfaceName' | 'addresses' | 'netns'>,
  netns: string,
  kernel: Pick<KernelState, 'links' | 'routes'>,
): string[] {
  const problems: string[] = [];
  if (!kernel.links.get(endpoint.interfaceName)?.isUp)
    problems.push(`interface ${endpoint.interfaceName} is not up`);
  for (const address of endpoint.addresses) {
    const route = kernel.routes.find(({ destination }) => destination === hostCidr(address));
    if (route?.hops[0]?.device !== endpoint.interfaceName)
      problems.push(`no route to ${address} through ${endpoint.interfaceName}`);
  }
  if (netns !== endpoint.netns)
    problems.push(`CNI_NETNS is ${netns}, but the container was added in ${endpoint.netns}`);
  return problems;
}
