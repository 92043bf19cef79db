/**
 * Ports of nodes that are closed to pods: BGP, BFD, and what a node would decapsulate. With natOutgoing a pod's packet
 * comes from its node's address, so that another node would take it for that node's. The same chain is asked before
 * translation (prerouting), behind it (forward, input), and where IPVS sends what it translated (output).
 */
import { familyOf } from '../../../lib/cidr.ts';
import type { NftChain, NftSet } from '../nft.ts';
import type { GuardInput } from './input.ts';

/** RFC 5881 control and echo, RFC 5883 multihop. */
const BFD_PORTS = [3784, 3785, 4784];
/** IP in IP, IPv6 in IP, MPLS in IP: what tunl0 and sit0 take. */
const IN_IP = 'meta l4proto { 4, 41, 137 }';
const families = [4, 6] as const;

export function portSets({ hosts, peers, ownBgpPorts }: GuardInput): NftSet[] {
  const bgpPorts = [...ownBgpPorts, ...hosts.flatMap((host) => host.bgpPorts)];
  const interfaces = (chosen: typeof peers) => chosen.map(({ interfaceName }) => `"${interfaceName}"`);
  return [
    // Any of them: one look-up that most packets miss.
    { name: 'bgp-ports', type: 'inet_service', elements: bgpPorts.map(String) },
    { name: 'own-bgp-ports', type: 'inet_service', elements: ownBgpPorts.map(String) },
    { name: 'bgp-pods', type: 'ifname', elements: interfaces(peers) },
    { name: 'bfd-pods', type: 'ifname', elements: interfaces(peers.filter(({ hasBfd }) => hasBfd)) },
    ...families.flatMap((family) => {
      const of = (addresses: readonly string[]) => addresses.filter((one) => familyOf(one) === family);
      return [
        {
          name: `hosts${family}`,
          type: `ipv${family}_addr`,
          elements: hosts.flatMap(({ addresses }) => of(addresses)),
        },
        {
          name: `bgp${family}`,
          type: `ipv${family}_addr . inet_service`,
          elements: hosts.flatMap((host) =>
            of(host.addresses).flatMap((address) => host.bgpPorts.map((port) => `${address} . ${port}`)),
          ),
        },
      ];
    }),
  ];
}

export function portChains(input: GuardInput): NftChain[] {
  // Of this node's own addresses also those that fib calls broadcast, multicast or anycast: sockets answer there.
  const local = 'fib daddr type != unicast counter drop';
  const isToNode = ['ip daddr @hosts4 counter drop', 'ip6 daddr @hosts6 counter drop', local];
  const bgp = [
    'iifname @bgp-pods fib daddr type local return',
    'ip daddr . tcp dport @bgp4 counter drop',
    'ip6 daddr . tcp dport @bgp6 counter drop',
    `tcp dport @own-bgp-ports ${local}`,
  ];
  const bfd = ['iifname @bfd-pods fib daddr type local return', ...isToNode];
  return [
    { name: 'to-node', rules: isToNode },
    { name: 'to-bgp', rules: bgp },
    { name: 'to-bfd', rules: bfd },
    { name: 'pod-ports', rules: portRules(input, '') },
  ];
}

/**
 * The rules that lead to these chains. `condition` says which packets are a pod's and comes behind the port, because it
 * may be dear.
 */
export function portRules(input: GuardInput, condition: string): string[] {
  const { allowsIpipFromPods, allowsVxlanFromPods, vxlanPort } = input;
  const then = (rule: string, verdict: string) => [rule, condition, verdict].filter(Boolean).join(' ');
  return [
    then('tcp dport @bgp-ports', 'jump to-bgp'),
    then(`udp dport { ${BFD_PORTS.join(', ')} }`, 'jump to-bfd'),
    // Calico F-082 refuses these to any destination, or to none: a node is never one.
    then(`udp dport ${vxlanPort}`, allowsVxlanFromPods ? 'jump to-node' : 'counter drop'),
    ...(allowsIpipFromPods ? [] : [then('meta l4proto 4', 'counter drop')]),
    then(IN_IP, 'jump to-node'),
  ];
}

/**
 * For packets of anybody that were translated to a node, in forward and input: a pod of another node reaches a port that is
 * closed to it through a NodePort here, in the name of that node or of this one. Nobody needs translation to these ports.
 */
export function translatedRules({ vxlanPort }: GuardInput): string[] {
  const udpPorts = [...BFD_PORTS, vxlanPort].join(', ');
  return [
    'tcp dport @bgp-ports ct status dnat jump to-bgp',
    `udp dport { ${udpPorts} } ct status dnat jump to-node`,
    `${IN_IP} ct status dnat jump to-node`,
  ];
}

/**
 * The first fragment of an IPv6 packet that ends before the ports (RFC 7112): nobody could judge it. IPv4 has eight
 * octets of payload at least in each.
 */
export const fragmentChain: NftChain = {
  name: 'whole-header',
  rules: ['@th,0,32 0-4294967295 return', 'counter drop'],
};
export const fragmentRule = 'exthdr frag exists frag frag-off 0 jump whole-header';
