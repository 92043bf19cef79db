/**
 * Which next hops are reached through a tunnel (Calico F-055, F-056, F-068): the pool's mode and the subnets decide,
 * and a tunnel is taken only when it is up at both ends. Until then packets go as they are, so that a change of mode
 * loses none.
 */
import type { IPPool } from '../../datastore/schema/ip-pool.ts';
import { chooseEncapsulation, encapsulationOf } from '../../ipip/choice.ts';
import { type TunnelKind, tunnelOf, tunnels } from '../../ipip/tunnel.ts';
import { bitsOf, contains, mustCidr } from '../../lib/cidr.ts';
import type { Hop, Route } from '../dataplane/route.ts';
import type { NodeInfo } from './topology.ts';

export interface EncapsulationInput {
  readonly self: NodeInfo;
  readonly nodes: readonly NodeInfo[];
  readonly pools: readonly IPPool[];
  /** Tunnels that are up on this node. */
  readonly up: readonly TunnelKind[];
  /** This node's address in a tunnel. */
  readonly addressOf: (kind: TunnelKind) => string | undefined;
}

/** The ways to a prefix, given its next hops. */
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
    // Without an address of the family there is nothing to compare with, and no tunnel.
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
    // IPv6 finds it by itself (device-plan.ts).
    const source = tunnels[found.kind].family === 4 ? addressOf(found.kind) : undefined;
    return { gateways, tunnels: ways, ...(gateways.length === 0 && source ? { source } : {}) };
  };
}

/** The way through a tunnel; undefined while its other end is not known to be up. */
function tunnelHop(kind: TunnelKind, nextHop: string, node: NodeInfo | undefined): Hop | undefined {
  const end = node?.tunnels[kind];
  const { device } = tunnels[kind];
  // IPIP is between the nodes' own addresses: a router that is no node may end it as well (Calico B-074).
  if (kind === 'ipip') return end || !node ? { gateway: nextHop, device, isOnlink: true } : undefined;
  return end && { gateway: end.address, device, isOnlink: true };
}

/** What keeps packets from taking the tunnel that their pool asks for, as sentences for people. */
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
          'takes its tunnel to every node: give the node its prefix length, by IP=autodetect or in the annotation projectcalico.org/IPv4Address',
      );
    if (!up.includes(kind)) continue;
    const subnet = mustCidr(`${own.address}/${own.length}`);
    for (const node of nodes) {
      const address = node.addresses[family]?.address;
      if (node.name === self.name || !address || node.tunnels[kind]) continue;
      if (chooseEncapsulation(pool.spec, subnet, address) === 'none') continue;
      sentences.add(
        `node ${node.name} has no ${device} yet (annotation ${annotation}): packets to its pods go unencapsulated, ` +
          `which IPPool ${pool.metadata.name} does not ask for; calictl node status there says why`,
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
