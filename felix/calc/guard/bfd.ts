/**
 * BFD from a neighbour on the link arrives with TTL 255 (RFC 5881 section 5, RFC 5082): what comes through a router, in the
 * neighbour's name, does not. For input. Multihop BFD (RFC 5883) has no such rule, but nodes send it with 255 as well.
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
