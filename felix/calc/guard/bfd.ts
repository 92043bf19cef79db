/**
 * Input rules for BFD. Packets of a neighbour on the link arrive with TTL 255 (RFC 5881 section 5, RFC 5082); packets
 * that a router forwarded with its source address do not. RFC 5883 has no such rule for multihop BFD, but nodes send it
 * with TTL 255 too.
 */
import { familyOf } from '../../../lib/cidr.ts';
import type { NftSet } from '../nft.ts';
import type { GuardInput } from './input.ts';

const families = [4, 6] as const;

export function neighbourSets({ neighbours }: GuardInput): NftSet[] {
  return families.map((family) => ({
    name: `neighbours${family}`,
    type: `ipv${family}_addr`,
    elements: neighbours.filter((one) => familyOf(one) === family),
  }));
}

export const bfdRules: readonly string[] = [
  'udp dport 3784 ip ttl != 255 counter drop',
  'udp dport 3784 ip6 hoplimit != 255 counter drop',
  'udp dport 4784 ip ttl != 255 ip saddr @neighbours4 counter drop',
  'udp dport 4784 ip6 hoplimit != 255 ip6 saddr @neighbours6 counter drop',
];
