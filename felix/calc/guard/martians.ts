/**
 * Packets that no honest host sends, whatever the interface (RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3, RFC 6890),
 * and packets from pods to the node's own loopback. For prerouting before anything is translated.
 */
import type { NftChain } from '../nft.ts';

/** IPv4-mapped addresses are for sockets, not for packets. */
const MAPPED = '::ffff:0.0.0.0/96';

/** Class E passes: Linux takes such addresses, and pods are held to their own anyway. */
export const martians: NftChain = {
  name: 'martians',
  rules: [
    'ip saddr { 127.0.0.0/8, 224.0.0.0/4, 255.255.255.255 } counter drop',
    'ip daddr 127.0.0.0/8 counter drop',
    'ip saddr 0.0.0.1-0.255.255.255 counter drop',
    // A host without an address asks for one (DHCP), and switches ask for groups (IGMP).
    'ip saddr 0.0.0.0 ip daddr != { 255.255.255.255, 224.0.0.0/24 } counter drop',
    `ip6 saddr { ::1, ${MAPPED}, ff00::/8 } counter drop`,
    `ip6 daddr { ::, ::1, ${MAPPED} } counter drop`,
    'ip6 saddr :: ip6 daddr != ff00::/8 counter drop',
  ],
};

/** The same destinations after translation. From pods only: for others kube-proxy may translate to loopback. */
export const loopbackRules: readonly string[] = [
  'ip daddr 127.0.0.0/8 counter drop',
  `ip6 daddr { ::1, ${MAPPED} } counter drop`,
];
