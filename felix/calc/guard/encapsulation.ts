/** Only nodes may send encapsulated packets (Calico F-080, F-070). For VXLAN this covers only our own VNI. */

import { type Family, familyOf } from '../../../lib/cidr.ts';
import { type TunnelKind, tunnelKinds, tunnels } from '../../../model/tunnel.ts';
import type { NftSet } from '../nft.ts';
import type { GuardInput } from './input.ts';

export function encapsulatorSets({ encapsulators }: GuardInput): NftSet[] {
  return ([4, 6] as const).map((family) => ({
    name: setOf(family),
    type: `ipv${family}_addr`,
    isInterval: true,
    elements: encapsulators.filter((one) => familyOf(one) === family),
  }));
}

/** Input rules for the outer packet. */
export function encapsulationRules({ tunnels: own, vxlanPort, vxlanVni }: GuardInput): string[] {
  return own.map((kind) => {
    const { family } = tunnels[kind];
    const source = `${family === 4 ? 'ip' : 'ip6'} saddr != @${setOf(family)}`;
    if (kind === 'ipip') return `meta l4proto 4 ${source} counter drop`;
    // The VNI: 24 bits after 8 octets of UDP header and 4 of flags.
    return `udp dport ${vxlanPort} @th,96,24 ${vxlanVni} ${source} counter drop`;
  });
}

/**
 * Prerouting rules for the inner packet: drop it where our VXLAN device outlived its last pool. Not for tunl0, which
 * other programs may use and which then has no address of ours.
 */
export function leftoverRules({ tunnels: own, isClusterKnown }: GuardInput): string[] {
  if (!isClusterKnown) return [];
  const isLeft = (kind: TunnelKind) => kind !== 'ipip' && !own.includes(kind);
  return tunnelKinds.filter(isLeft).map((kind) => `iifname "${tunnels[kind].device}" counter drop`);
}

function setOf(family: Family): string {
  return `encapsulators${family}`;
}
