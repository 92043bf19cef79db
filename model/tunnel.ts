/** Defines the tunnels that a node can have: names, overheads, annotations, settings. */
import { createHash } from 'node:crypto';
import { nodeAnnotations } from '../datastore/schema/core.ts';
import type { Family } from '../lib/cidr.ts';

export type TunnelKind = 'ipip' | 'vxlan4' | 'vxlan6';

export interface TunnelFacts {
  /** Name of the interface; tunl0 is created by the kernel (Calico F-050). */
  readonly device: string;
  readonly family: Family;
  /** Octets of encapsulation per packet (Calico F-052, F-067). */
  readonly overhead: number;
  /** Node annotation with the node's address in the tunnel. Its presence means that the tunnel is up. */
  readonly annotation: string;
  readonly macAnnotation?: string;
  /** Kernel module. */
  readonly module: string;
}

export const tunnels: Readonly<Record<TunnelKind, TunnelFacts>> = {
  ipip: {
    device: 'tunl0',
    family: 4,
    overhead: 20,
    annotation: nodeAnnotations.ipv4IPIPTunnelAddr,
    module: 'ipip',
  },
  vxlan4: {
    device: 'vxlan.cali',
    family: 4,
    overhead: 50,
    annotation: nodeAnnotations.ipv4VXLANTunnelAddr,
    macAnnotation: nodeAnnotations.vxlanTunnelMACAddr,
    module: 'vxlan',
  },
  vxlan6: {
    device: 'vxlan-v6.cali',
    family: 6,
    overhead: 70,
    annotation: nodeAnnotations.ipv6VXLANTunnelAddr,
    macAnnotation: nodeAnnotations.vxlanTunnelMACAddrV6,
    module: 'vxlan',
  },
};

export const tunnelKinds = Object.keys(tunnels) as readonly TunnelKind[];

/** Tunnel settings of FelixConfiguration (Calico 1.10). */
export interface TunnelSettings {
  /** False: never; undefined: as the pools require. */
  readonly ipipEnabled?: boolean | undefined;
  readonly vxlanEnabled?: boolean | undefined;
  /** 0: the uplink's MTU minus the overhead. */
  readonly mtu: Readonly<Record<TunnelKind, number>>;
  readonly vxlanPort: number;
  readonly vxlanVni: number;
}

/** Calico's defaults; the port is IANA's. */
export const DEFAULT_VXLAN_PORT = 4789;
export const DEFAULT_VXLAN_VNI = 4096;

/**
 * Derives the MAC address of a node's VXLAN device: locally administered, stable across reinstallation (Calico F-066).
 */
export function vtepMac(node: string, family: Family): string {
  const digest = createHash('sha1').update(`vxlan${family}.${node}`).digest();
  const bytes = [(digest[0]! & 0xfc) | 0x02, ...digest.subarray(1, 6)];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}
