/** Calculates the tunnel devices that a node should have. Pure. */

import { hostCidr } from '../lib/cidr.ts';
import type { NodeInfo } from '../model/node.ts';
import type { Route } from '../model/route.ts';
import { type TunnelKind, type TunnelSettings, tunnels, vtepMac } from '../model/tunnel.ts';
import type { Tunnel, Vtep } from './device-plan.ts';
import { tunnelMtu } from './mtu.ts';

export interface TunnelsInput {
  readonly self: NodeInfo;
  readonly nodes: readonly NodeInfo[];
  readonly kinds: readonly TunnelKind[];
  /** This node's address in a tunnel; undefined while it has none. */
  readonly addressOf: (kind: TunnelKind) => string | undefined;
  readonly uplinkMtu: number;
  readonly settings: TunnelSettings;
}

export function desiredTunnels(input: TunnelsInput): Tunnel[] {
  const { self, kinds, addressOf, uplinkMtu, settings } = input;
  return kinds.flatMap((kind) => {
    const { family } = tunnels[kind];
    const local = self.addresses[family]?.address;
    if (!local) return [];
    const tunnel: Tunnel = {
      kind,
      address: addressOf(kind),
      mtu: tunnelMtu(kind, uplinkMtu, settings),
    };
    if (kind === 'ipip') return [tunnel];
    const vxlan = {
      vni: settings.vxlanVni,
      port: settings.vxlanPort,
      local,
      mac: vtepMac(self.name, family),
      remotes: remotesOf(kind, input),
    };
    return [{ ...tunnel, vxlan }];
  });
}

/** Returns the VTEPs of the other nodes whose end is up. Entries are permanent; nothing is learned (Calico F-068). */
function remotesOf(kind: TunnelKind, { self, nodes, addressOf }: TunnelsInput): Vtep[] {
  const { family } = tunnels[kind];
  // Another node's annotations must not redirect this node's traffic.
  const own = new Set([addressOf(kind), self.addresses[family]?.address, vtepMac(self.name, family)]);
  return nodes.flatMap((node) => {
    const end = node.tunnels[kind];
    const address = node.addresses[family]?.address;
    if (node.name === self.name || !end || !address) return [];
    if (own.has(end.address) || own.has(end.mac) || own.has(address)) return [];
    return [{ address: end.address, mac: end.mac, node: address }];
  });
}

/**
 * Returns host routes to the other ends of an IPv6 tunnel. The kernel refuses a gateway that another route covers. The
 * other end's address is in its node's block, and during a change of mode that block has another route.
 */
export function endRoutes(wanted: readonly Tunnel[]): Route[] {
  return wanted
    .filter(({ kind }) => tunnels[kind].family === 6)
    .flatMap(({ kind, vxlan }) =>
      (vxlan?.remotes ?? []).map(({ address }) => ({
        destination: hostCidr(address),
        type: 'unicast' as const,
        protocol: 'local' as const,
        device: tunnels[kind].device,
        gateways: [],
      })),
    );
}
