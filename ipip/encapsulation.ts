/**
 * Decides by the pool's mode and the subnets which next hops a tunnel reaches (Calico F-055, F-056, F-068). A route
 * uses a tunnel only when both ends are up. Until then packets are sent unencapsulated, so that a change of mode loses
 * none.
 */
import type { IPPool } from '../datastore/schema/ip-pool.ts';
import { bitsOf, contains, mustCidr } from '../lib/cidr.ts';
import type { NodeInfo } from '../model/node.ts';
import type { Hop, Route } from '../model/route.ts';
import { type TunnelKind, tunnels } from '../model/tunnel.ts';
import { chooseEncapsulation, encapsulationOf, tunnelOf } from './choice.ts';

export interface EncapsulationInput {
  readonly self: NodeInfo;
  readonly nodes: readonly NodeInfo[];
  readonly pools: readonly IPPool[];
  /** Tunnels that are up on this node. */
  readonly up: readonly TunnelKind[];
  /** This node's address in a tunnel. */
  readonly addressOf: (kind: TunnelKind) => string | undefined;
}

/** Returns the next hops of a prefix, split into gateways and tunnels, and the source address. */
export type Encapsulate = (
  prefix: string,
  nextHops: readonly string[],
) => Pick<Route, 'gateways' | 'tunnels' | 'source'>;

export function encapsulation({ self, nodes, pools, up, addressOf }: EncapsulationInput): Encapsulate {
  const byAddress = nodesByAddress(nodes);
  const ranges = pools.flatMap((pool) => {
    const range = mustCidr(pool.spec.cidr);
    const own = self.addresses[range.family];
    const kind = tunnelOf(pool);
    // Without an address of this family, the node has no subnet to compare and no tunnel.
    if (!own || !kind || !up.includes(kind)) return [];
    return [{ range, kind, spec: pool.spec, subnet: mustCidr(`${own.address}/${own.length}`) }];
  });
  if (ranges.length === 0) return (_, nextHops) => ({ gateways: nextHops });
  return (prefix, nextHops) => {
    const net = mustCidr(prefix);
    const found = ranges.find(({ range }) => contains(range, net));
    if (!found) return { gateways: nextHops };
    const gateways: string[] = [];
    const ways: Hop[] = [];
    for (const nextHop of nextHops) {
      const hop =
        chooseEncapsulation(found.spec, found.subnet, nextHop) === 'none'
          ? undefined
          : tunnelHop(found.kind, nextHop, byAddress.get(nextHop));
      if (hop) ways.push(hop);
      else gateways.push(nextHop);
    }
    if (ways.length === 0) return { gateways };
    // For IPv6, the kernel selects the right source (device-plan.ts).
    const source = tunnels[found.kind].family === 4 ? addressOf(found.kind) : undefined;
    return { gateways, tunnels: ways, ...(gateways.length === 0 && source ? { source } : {}) };
  };
}

/** Returns the hop through a tunnel; undefined until the other end is known to be up. */
function tunnelHop(kind: TunnelKind, nextHop: string, node: NodeInfo | undefined): Hop | undefined {
  const end = node?.tunnels[kind];
  const { device } = tunnels[kind];
  // IPIP runs between the nodes' own addresses, so a router without a Node can terminate it too (Calico B-074).
  if (kind === 'ipip') return end || !node ? { gateway: nextHop, device, isOnlink: true } : undefined;
  return end && { gateway: end.address, device, isOnlink: true };
}

/** Returns why packets do not use their pool's tunnel as the mode requires, as sentences for people. */
export function encapsulationWarnings({
  self,
  nodes,
  pools,
  up,
}: Omit<EncapsulationInput, 'addressOf'>): string[] {
  const sentences = new Set<string>();
  for (const pool of pools) {
    const kind = tunnelOf(pool);
    const { family, annotation, device } = kind ? tunnels[kind] : { family: 4 as const };
    const own = self.addresses[family];
    if (!kind || !own) continue;
    const { mode } = encapsulationOf(pool.spec);
    if (mode === 'CrossSubnet' && own.length === bitsOf(family))
      sentences.add(
        `the address of this node, ${own.address}/${own.length}, has no subnet, so IPPool ${pool.metadata.name} (CrossSubnet) ` +
          'tunnels packets to every node: set its prefix length, with IP=autodetect or in the annotation projectcalico.org/IPv4Address',
      );
    if (!up.includes(kind)) continue;
    const subnet = mustCidr(`${own.address}/${own.length}`);
    for (const node of nodes) {
      const address = node.addresses[family]?.address;
      if (node.name === self.name || !address || node.tunnels[kind]) continue;
      if (chooseEncapsulation(pool.spec, subnet, address) === 'none') continue;
      sentences.add(
        `node ${node.name} has no ${device} yet (annotation ${annotation}): packets to its pods are sent unencapsulated, ` +
          `contrary to IPPool ${pool.metadata.name}; calictl node status on that node has the reason`,
      );
    }
  }
  return [...sentences];
}

function nodesByAddress(nodes: readonly NodeInfo[]): ReadonlyMap<string, NodeInfo> {
  return new Map(
    nodes.flatMap((node) =>
      Object.values(node.addresses).map(({ address }): [string, NodeInfo] => [address, node]),
    ),
  );
}
