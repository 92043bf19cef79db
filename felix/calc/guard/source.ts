/**
 * A pod may send only from its own addresses (Calico F-083): the route to the source must lead to the interface that the
 * packet arrived on. Felix and the CNI plugin write that route before the pod starts, so no rule per pod is needed, and an
 * unknown interface has no valid source.
 */
import { contains, familyOf, mustCidr } from '../../../lib/cidr.ts';
import type { NftChain, NftSet } from '../nft.ts';
import type { GuardInput } from './input.ts';

/** Neighbour discovery (RFC 4861), multicast listeners (RFC 2710, RFC 3810), echo and errors; no router, no redirect. */
const LINK_TYPES = [1, 2, 3, 4, 128, 129, 131, 132, 133, 135, 136, 143];
/** Sent by a pod without an address: duplicate address detection and multicast reports (RFC 4862). */
const UNSPECIFIED_TYPES = [131, 132, 133, 135, 143];

/** Only non-empty sets, because ranges in a concatenation need Linux 5.6. */
export function sourceSets({ spoofers }: GuardInput): NftSet[] {
  const sets = ([4, 6] as const).map((family) => ({
    name: `allowed-sources${family}`,
    type: `ifname . ipv${family}_addr`,
    isInterval: true,
    elements: spoofers.flatMap(({ interfaceName, prefixes }) =>
      outermost(prefixes)
        .filter((prefix) => familyOf(prefix) === family)
        .map((prefix) => `"${interfaceName}" . ${prefix}`),
    ),
  }));
  return sets.filter(({ elements }) => elements.length > 0);
}

export function sourceChains(input: GuardInput): NftChain[] {
  const used = sourceSets(input);
  const linkLocal = [
    `ip6 daddr { fe80::/10, ff02::/16 } icmpv6 type { ${LINK_TYPES.join(', ')} } return`,
    'ip6 daddr ff02::1:2 udp sport 546 udp dport 547 return',
    'counter drop',
  ];
  const source = [
    ...used.map(({ name }) => `iifname . ${name.endsWith('4') ? 'ip' : 'ip6'} saddr @${name} return`),
    // For broadcast destinations fib accepts any source in 0/8. Only DHCP may use one.
    'ip saddr 0.0.0.0 ip daddr 255.255.255.255 udp sport 68 udp dport 67 return',
    'ip saddr 0.0.0.0/8 counter drop',
    `ip6 saddr :: ip6 daddr ff02::/16 icmpv6 type { ${UNSPECIFIED_TYPES.join(', ')} } return`,
    'ip6 saddr :: counter drop',
    // Pods that are BGP peers may use link-local addresses; pod-ports checks them next.
    'iifname @bgp-pods ip6 saddr fe80::/10 ip6 daddr fe80::/10 tcp dport @own-bgp-ports return',
    'ip6 saddr fe80::/10 jump link-local',
    'fib saddr . iif oif missing counter drop',
  ];
  return [
    { name: 'link-local', rules: linkLocal },
    { name: 'pod-source', rules: source },
  ];
}

/** Removes networks inside others, because nft refuses overlapping elements here. */
function outermost(prefixes: readonly string[]): string[] {
  const networks = prefixes.map(mustCidr);
  return prefixes.filter((_, i) =>
    networks.every(
      (other, j) => i === j || !contains(other, networks[i]!) || (contains(networks[i]!, other) && i < j),
    ),
  );
}
