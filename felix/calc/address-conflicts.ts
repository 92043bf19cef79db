/** Finds Nodes that claim the address of another Node. Peers reach at most one of them. Pure. */
import type { ObjectProblem } from '../../datastore/object-problem.ts';
import { nodeAnnotations } from '../../datastore/schema/core.ts';
import type { NodeInfo } from '../../model/node.ts';

/** Returns a problem for each conflicting Node. It names one other Node with the same address. */
export function addressConflicts(nodes: readonly NodeInfo[]): ObjectProblem[] {
  const holders = new Map<string, string[]>();
  for (const { name, addresses } of nodes)
    for (const { address } of Object.values(addresses)) {
      const known = holders.get(address);
      if (known) known.push(name);
      else holders.set(address, [name]);
    }
  return nodes.flatMap(({ name, addresses }) =>
    ([4, 6] as const).flatMap((family) => {
      const address = addresses[family]?.address;
      const other = address && holders.get(address)!.find((one) => one !== name);
      if (!other) return [];
      const key = family === 4 ? nodeAnnotations.ipv4Address : nodeAnnotations.ipv6Address;
      return [
        {
          kind: 'Node',
          name,
          field: `metadata.annotations[${key}]`,
          reason: `${address} is the address of Node ${other} as well, and only one of them is reachable: give each Node its own address`,
        },
      ];
    }),
  );
}
