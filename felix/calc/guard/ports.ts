/**
 * Node ports that are closed to pods: BGP, BFD and encapsulation. With natOutgoing a pod's packet carries its node's
 * address, so another node would believe that the node sent it. The same chain runs before translation (prerouting),
 * after it (forward, input), and where IPVS sends translated packets (output).
 */
import { familyOf } from '../../../lib/cidr.ts';
import type { NftChain, NftSet } from '../nft.ts';
import type { GuardInput } from './input.ts';

/** RFC 5881 control and echo, RFC 5883 multihop. */
const BFD_PORTS = [3784, 3785, 4784];
/** IP in IP, IPv6 in IP, MPLS in IP: the protocols that tunl0 and sit0 accept. */
const IN_IP = 'meta l4proto { 4, 41, 137 }';
const families = [4, 6] as const;

export function portSets({ hosts, peers, ownBgpPorts }: GuardInput): NftSet[] {
  const bgpPorts = [...ownBgpPorts, ...hosts.flatMap((host) => host.bgpPorts)];
  const interfaces = (chosen: typeof peers) => chosen.map(({ interfaceName }) => `"${interfaceName}"`);
  return [
    // All BGP ports in one set, so that most packets need one failed lookup.
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
  // Includes addresses that fib calls broadcast, multicast or anycast, because sockets answer on them.
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
 * The rules that jump to these chains. `condition` selects packets of pods. It comes after the port, because it may be
 * expensive.
 */
export function portRules(input: GuardInput, condition: string): string[] {
  const { allowsIpipFromPods, allowsVxlanFromPods, vxlanPort } = input;
  const then = (rule: string, verdict: string) => [rule, condition, verdict].filter(Boolean).join(' ');
  return [
    then('tcp dport @bgp-ports', 'jump to-bgp'),
    then(`udp dport { ${BFD_PORTS.join(', ')} }`, 'jump to-bfd'),
    // Calico F-082 refuses these to any destination or to none; here a node is never a permitted destination.
    then(`udp dport ${vxlanPort}`, allowsVxlanFromPods ? 'jump to-node' : 'counter drop'),
    ...(allowsIpipFromPods ? [] : [then('meta l4proto 4', 'counter drop')]),
    then(IN_IP, 'jump to-node'),
  ];
}

/**
 * Forward and input rules for packets of any sender that were translated to a node. Otherwise a pod of another node could
 * reach a closed port through a NodePort here, with the address of that node or of this one. No service needs these ports.
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
 * Drops a first IPv6 fragment that ends before the ports (RFC 7112), because no rule can match its ports. A first IPv4
 * fragment always has at least eight octets of payload.
 */
export const fragmentChain: NftChain = {
  name: 'whole-header',
  rules: ['@th,0,32 0-4294967295 return', 'counter drop'],
};
export const fragmentRule = 'exthdr frag exists frag frag-off 0 jump whole-header';
