import * as packets from '../helpers/packets.ts';
import type { ProbePoint } from '../helpers/probe.ts';

/** Addresses that the test translates, as kube-proxy translates those of Services. */
export const SERVICE4 = '10.96.0.10';
export const SERVICE6 = 'fd00:10:96::10';
/** Another address of the second node, because conntrack cannot distinguish two translations of IPIP to one address. */
export const OTHER4 = '172.18.0.99';
export const UNKNOWN = 'cali00000000bad';

export type Sender = 'pod' | 'wire' | 'host' | 'unknown';

export interface Attack {
  readonly name: string;
  /**
   * A pod by default; `unknown`: an interface unknown to the agent; `wire`: the router; `host`: the node's raw socket.
   */
  readonly by?: Sender;
  readonly send: () => string[];
  readonly at: 'node1' | 'node2';
  readonly point: ProbePoint;
}

/** IPv4 and IPv6 addresses of the sender, of the other pod of its node and of a remote pod. Set when the lab runs. */
export const addresses: Record<'own' | 'neighbour' | 'remote', readonly [string, string]> = {
  own: ['', ''],
  neighbour: ['', ''],
  remote: ['', ''],
};
export const node1 = ['172.18.0.11', 'fd00:172:18::11'] as const;
export const node2 = ['172.18.0.12', 'fd00:172:18::12'] as const;
export const own = (to: string) => ({ from: addresses.own[to.includes(':') ? 1 : 0], to });

const payload = Buffer.alloc(64, 1);
/** A VXLAN packet of our VNI; also serves as other data of this size. */
const vxlan = Buffer.concat([Buffer.from([8, 0, 0, 0, 0, 0x10, 0, 0]), payload]);
const udpData = (port: number) => {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(40_000, 0);
  header.writeUInt16BE(port, 2);
  header.writeUInt16BE(8 + vxlan.length, 4);
  return Buffer.concat([header, vxlan]);
};
const from = (source: () => string, to: () => string): Pick<Attack, 'send' | 'at' | 'point'> => ({
  send: () => [packets.udp({ from: source(), to: to() }, 5000)],
  at: 'node2',
  point: 'early',
});
const closed = (name: string, local: () => string[], remote: () => string[]): Attack[] => [
  { name: `${name} to its own node`, send: local, at: 'node1', point: 'local' },
  { name: `${name} to another node`, send: remote, at: 'node2', point: 'early' },
];
/** Returns this attack in both families, to the nodes and, if ports are given, to Services that lead to them. */
const each = (
  name: string,
  make: (to: string) => string[],
  viaService?: (to: string, isOwn: boolean) => string[],
): Attack[] =>
  ([0, 1] as const).flatMap((i) => [
    ...closed(
      `${name} over IPv${i ? 6 : 4}`,
      () => make(node1[i]),
      () => make(node2[i]),
    ),
    ...(viaService
      ? closed(
          `${name} through a Service over IPv${i ? 6 : 4}`,
          () => viaService([SERVICE4, SERVICE6][i]!, true),
          () => viaService([SERVICE4, SERVICE6][i]!, false),
        )
      : []),
  ]);
const tcpTo = (to: string, port: number) => [packets.tcp(own(to), port)];
const udpTo = (to: string, port: number) => [packets.udp(own(to), port, { data: vxlan })];

export const attacks: Attack[] = [
  {
    name: 'a packet with another pod’s IPv4 source',
    ...from(
      () => addresses.neighbour[0],
      () => addresses.remote[0],
    ),
  },
  {
    name: 'a packet with another pod’s IPv6 source',
    ...from(
      () => addresses.neighbour[1],
      () => addresses.remote[1],
    ),
  },
  {
    name: 'a packet with its node’s IPv4 source',
    ...from(
      () => node1[0],
      () => addresses.remote[0],
    ),
  },
  {
    name: 'a packet with its node’s IPv6 source',
    ...from(
      () => node1[1],
      () => addresses.remote[1],
    ),
  },
  {
    name: 'a packet with a foreign IPv4 source',
    ...from(
      () => '8.8.8.8',
      () => addresses.remote[0],
    ),
  },
  {
    name: 'a packet with a foreign IPv6 source',
    ...from(
      () => '2001:db8::1',
      () => addresses.remote[1],
    ),
  },
  {
    name: 'a packet without an IPv4 source to a broadcast address',
    send: () => [packets.udp({ from: '0.0.0.0', to: '255.255.255.255' }, 5000)],
    at: 'node1',
    point: 'local',
  },
  {
    name: 'a packet from a link-local address to a global one',
    send: () => [packets.udp({ from: 'fe80::1234', to: node1[1] }, 5000)],
    at: 'node1',
    point: 'local',
  },
  {
    name: 'a router advertisement',
    send: () => [packets.icmpv6({ from: 'fe80::1234', to: 'ff02::1' }, 134, Buffer.alloc(12))],
    at: 'node1',
    point: 'local',
  },
  {
    name: 'a packet to the node’s loopback',
    send: () => [packets.udp(own('127.0.0.1'), 5000)],
    at: 'node1',
    point: 'local',
  },
  {
    name: 'a packet to a Service that leads to the node’s loopback',
    send: () => [packets.udp(own(SERVICE4), 84)],
    at: 'node1',
    point: 'local',
  },
  ...each(
    'BGP',
    (to) => tcpTo(to, 179),
    (to, isOwn) => tcpTo(to, isOwn ? 81 : 80),
  ),
  ...each(
    'BFD',
    (to) => udpTo(to, 3784),
    (to, isOwn) => udpTo(to, isOwn ? 81 : 80),
  ),
  ...each('multihop BFD', (to) => udpTo(to, 4784)),
  ...each(
    'VXLAN',
    (to) => udpTo(to, 4789),
    (to, isOwn) => udpTo(to, isOwn ? 83 : 82),
  ),
  ...each('IP in IP', (to) => [packets.ip(own(to), 4, payload)]),
  ...each('IPv6 in IP', (to) => [packets.ip(own(to), 41, payload)]),
  {
    name: 'IP in IP through a Service',
    send: () => [packets.ip(own(SERVICE4), 4, payload)],
    at: 'node2',
    point: 'early',
  },
  ...closed(
    'BGP with destination options',
    () => [
      packets.ip(own(node1[1]), 60, packets.destinationOptions(6, packets.tcpSegment(own(node1[1]), 179))),
    ],
    () => [
      packets.ip(own(node2[1]), 60, packets.destinationOptions(6, packets.tcpSegment(own(node2[1]), 179))),
    ],
  ),
  ...closed(
    'VXLAN in fragments over IPv4',
    () => packets.fragments4(own(node1[0]), 17, udpData(4789), 16),
    () => packets.fragments4(own(node2[0]), 17, udpData(4789), 16),
  ),
  ...closed(
    'VXLAN in fragments over IPv6',
    () => packets.fragments6(own(node1[1]), 17, udpData(4789), 16),
    () => packets.fragments6(own(node2[1]), 17, udpData(4789), 16),
  ),
  {
    name: 'BFD to the broadcast address of the nodes’ subnet',
    send: () => udpTo('172.18.0.255', 3784),
    at: 'node1',
    point: 'local',
  },
  {
    name: 'BFD to all nodes on its link',
    send: () => udpTo('ff02::1', 3784),
    at: 'node1',
    point: 'local',
  },
  {
    name: 'a packet from an interface that no agent knows, with a pod’s IPv4 source',
    by: 'unknown',
    ...from(
      () => addresses.neighbour[0],
      () => addresses.remote[0],
    ),
  },
  {
    name: 'a packet from an interface that no agent knows, with a pod’s IPv6 source',
    by: 'unknown',
    ...from(
      () => addresses.neighbour[1],
      () => addresses.remote[1],
    ),
  },
  {
    name: 'a pod’s packet that IPVS sends to another node’s BGP port',
    by: 'host',
    send: () => tcpTo(node2[0], 179),
    at: 'node2',
    point: 'early',
  },
  {
    name: 'a pod’s packet that IPVS sends to another node’s tunnel port',
    by: 'host',
    send: () => udpTo(node2[1], 4789),
    at: 'node2',
    point: 'early',
  },
  ...['127.0.0.9', '224.0.0.9', '0.0.0.9', '::', '::ffff:10.0.0.9'].map(
    (source): Attack => ({
      name: `a packet from ${source} on the wire`,
      by: 'wire',
      send: () => [packets.udp({ from: source, to: node1[source.includes(':') ? 1 : 0] }, 5000)],
      at: 'node1',
      point: 'checked',
    }),
  ),
  {
    name: 'a packet to 127.0.0.1 on the wire',
    by: 'wire',
    send: () => [packets.udp({ from: '172.18.0.1', to: '127.0.0.1' }, 5000)],
    at: 'node1',
    point: 'checked',
  },
];

export const honest: Attack[] = [
  {
    // A neighbouring network may use class E addresses, whatever this cluster uses.
    name: 'a packet from 240.0.0.9 on the wire',
    by: 'wire',
    send: () => [packets.udp({ from: '240.0.0.9', to: node1[0] }, 5000)],
    at: 'node1',
    point: 'checked',
  },
  ...([0, 1] as const).flatMap((i): Attack[] => [
    {
      name: `a packet with the pod’s own IPv${i ? 6 : 4} source`,
      ...from(
        () => addresses.own[i],
        () => addresses.remote[i],
      ),
    },
    {
      name: `TCP to port 179 of another pod over IPv${i ? 6 : 4}`,
      send: () => tcpTo(addresses.remote[i], 179),
      at: 'node2',
      point: 'early',
    },
    {
      name: `TCP to port 179 of a Service whose pod is on another node, over IPv${i ? 6 : 4}`,
      send: () => tcpTo([SERVICE4, SERVICE6][i]!, 179),
      at: 'node2',
      point: 'early',
    },
    {
      name: `DNS to a Service over IPv${i ? 6 : 4}`,
      send: () => udpTo([SERVICE4, SERVICE6][i]!, 53),
      at: 'node2',
      point: 'early',
    },
    {
      name: `TCP to another port of its node over IPv${i ? 6 : 4}`,
      send: () => tcpTo(node1[i], 10_250),
      at: 'node1',
      point: 'local',
    },
    {
      name: `fragmented UDP to its node over IPv${i ? 6 : 4}`,
      send: () =>
        i
          ? packets.fragments6(own(node1[1]), 17, udpData(5000), 16)
          : packets.fragments4(own(node1[0]), 17, udpData(5000), 16),
      at: 'node1',
      point: 'local',
    },
  ]),
  {
    name: 'duplicate address detection',
    send: () => [
      packets.icmpv6(
        { from: '::', to: 'ff02::1:ff00:1' },
        135,
        Buffer.concat([Buffer.alloc(4), Buffer.alloc(16, 0xfd)]),
      ),
    ],
    at: 'node1',
    point: 'checked',
  },
  {
    name: 'a neighbour solicitation from its link-local address',
    send: () => [
      packets.icmpv6(
        { from: 'fe80::1234', to: 'ff02::1:ffee:eeee' },
        135,
        Buffer.concat([Buffer.alloc(4), Buffer.alloc(16, 0xfd)]),
      ),
    ],
    at: 'node1',
    point: 'checked',
  },
  {
    name: 'a multicast listener report',
    send: () => [packets.icmpv6({ from: 'fe80::1234', to: 'ff02::16' }, 143, Buffer.alloc(4))],
    at: 'node1',
    point: 'checked',
  },
  {
    name: 'a DHCP request',
    send: () => [packets.udp({ from: '0.0.0.0', to: '255.255.255.255' }, 67, { from: 68 })],
    at: 'node1',
    point: 'checked',
  },
  {
    name: 'a DHCP request on the wire',
    by: 'wire',
    send: () => [packets.udp({ from: '0.0.0.0', to: '255.255.255.255' }, 67, { from: 68 })],
    at: 'node1',
    point: 'checked',
  },
  {
    name: 'an IGMP query without a source address on the wire',
    by: 'wire',
    send: () => [packets.ip({ from: '0.0.0.0', to: '224.0.0.1' }, 2, Buffer.from('1164ee9b00000000', 'hex'))],
    at: 'node1',
    point: 'checked',
  },
  {
    name: 'BGP from a program on the node to another node',
    by: 'host',
    send: () => [packets.tcp({ from: node1[0], to: node2[0] }, 179, { from: 41_000 })],
    at: 'node2',
    point: 'early',
  },
];
