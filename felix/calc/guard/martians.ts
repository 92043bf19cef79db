/**
 * Martians: packets that are invalid on any interface (RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3, RFC 6890), and
 * packets from pods to the node's loopback. Prerouting drops them before translation.
 */
import type { NftChain } from '../nft.ts';

/** IPv4-mapped addresses belong to sockets and never appear in packets. */
const MAPPED = '::ffff:0.0.0.0/96';

/** Class E passes: Linux accepts such addresses, and pods may send only from their own. */
export const martians: NftChain = {
  name: 'martians',
  rules: [
    'ip saddr { 127.0.0.0/8, 224.0.0.0/4, 255.255.255.255 } counter drop',
    'ip daddr 127.0.0.0/8 counter drop',
    'ip saddr 0.0.0.1-0.255.255.255 counter drop',
    // Hosts without an address send DHCP requests; switches send IGMP queries.
    'ip saddr 0.0.0.0 ip daddr != { 255.255.255.255, 224.0.0.0/24 } counter drop',
    `ip6 saddr { ::1, ${MAPPED}, ff00::/8 } counter drop`,
    `ip6 daddr { ::, ::1, ${MAPPED} } counter drop`,
    'ip6 saddr :: ip6 daddr != ff00::/8 counter drop',
  ],
};

/** The same destinations after translation, for packets from pods: kube-proxy may translate others to loopback. */
export const loopbackRules: readonly string[] = [
  'ip daddr 127.0.0.0/8 counter drop',
  `ip6 daddr { ::1, ${MAPPED} } counter drop`,
];
