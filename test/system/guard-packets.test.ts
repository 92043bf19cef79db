/**
 * Which packets of pods, the wire and IPVS pass the guard. Each packet is sent twice, with and without the guard, and
 * counted at its destination. The second time proves that the packet arrives if nothing drops it.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LabPod } from '../../lab/lab.ts';
import { hasProgram, TestLab } from '../helpers/lab.ts';
import * as packets from '../helpers/packets.ts';
import { Probe, type ProbePoint } from '../helpers/probe.ts';

/** Addresses that the test translates, as kube-proxy translates those of Services. */
const SERVICE4 = '10.96.0.10';
const SERVICE6 = 'fd00:10:96::10';
/** Another address of the second node, because conntrack cannot distinguish two translations of IPIP to one address. */
const OTHER4 = '172.18.0.99';
const UNKNOWN = 'cali00000000bad';

type Sender = 'pod' | 'wire' | 'host' | 'unknown';

interface Attack {
  readonly name: string;
  /**
   * A pod by default; `unknown`: an interface unknown to the agent; `wire`: the router; `host`: the node's raw socket.
   */
  readonly by?: Sender;
  readonly send: () => string[];
  readonly at: 'node1' | 'node2';
  readonly point: ProbePoint;
}

describe.skipIf(!hasProgram('gcc') || !hasProgram('nft'))('packets (skipped without gcc and nft)', () => {
  let lab: TestLab;
  let sender: string;
  let mac = '';
  const addresses: Record<'own' | 'neighbour' | 'remote', readonly [string, string]> = {
    own: ['', ''],
    neighbour: ['', ''],
    remote: ['', ''],
  };
  const node1 = ['172.18.0.11', 'fd00:172:18::11'] as const;
  const node2 = ['172.18.0.12', 'fd00:172:18::12'] as const;
  const own = (to: string) => ({ from: addresses.own[to.includes(':') ? 1 : 0], to });

  beforeAll(async () => {
    sender = packets.buildSender();
    lab = await TestLab.start(['--nodes', '2', '--pods', '2']);
    const { pods } = (await lab.ask({ do: 'show' })) as { pods: LabPod[] };
    const of = (name: string) => pods.find((pod) => pod.name === name)!.addresses as [string, string];
    Object.assign(addresses, { own: of('node1-a'), neighbour: of('node1-b'), remote: of('node2-a') });
    mac = /link\/ether (\S+)/.exec(lab.sh('node1', 'ip -o link show dev eth0'))![1]!;
    // DNAT rules like kube-proxy's, and an interface to the second pod that the agent does not know.
    const dnat = (family: 4 | 6) => {
      const ip = family === 4 ? 'ip' : 'ip6';
      const [service, i] = family === 4 ? [SERVICE4, 0] : [SERVICE6, 1];
      const to = (address: string, port: number) =>
        family === 4 ? `${address}:${port}` : `[${address}]:${port}`;
      const rule = (proto: string, port: number, target: string) =>
        `add rule inet proxy services ${ip} daddr ${service} ${proto} dport ${port} dnat ${ip} to ${target}`;
      return [
        rule('tcp', 80, to(node2[i]!, 179)),
        rule('tcp', 81, to(node1[i]!, 179)),
        rule('udp', 80, to(node2[i]!, 3784)),
        rule('udp', 81, to(node1[i]!, 3784)),
        rule('udp', 82, to(node2[i]!, 4789)),
        rule('udp', 83, to(node1[i]!, 4789)),
        ...(family === 4 ? [rule('udp', 84, '127.0.0.1:5000')] : []),
        rule('udp', 53, to(addresses.remote[i]!, 5000)),
        rule('tcp', 179, to(addresses.remote[i]!, 179)),
        `add rule inet proxy services ${ip} daddr ${service} meta l4proto 4 dnat ${ip} to ${[OTHER4, node2[1]][i]}`,
      ];
    };
    const rules = [
      'add table inet proxy',
      'add chain inet proxy services { type nat hook prerouting priority dstnat; }',
      ...dnat(4),
      ...dnat(6),
    ];
    expect(lab.pipe('node1', `${rules.join('\n')}\n`, 'nft', '-f', '-').stderr).toBe('');
    lab.sh(
      'lab',
      `ip -n node1 link add ${UNKNOWN} address ee:ee:ee:ee:ee:ee type veth peer name unknown0 netns /run/netns/pod_node1-b`,
    );
    lab.sh('node1', `ip link set ${UNKNOWN} up; echo 0 > /proc/sys/net/ipv4/conf/${UNKNOWN}/rp_filter`);
    lab.sh('node1-b', 'ip link set unknown0 up');
    lab.sh('node1', 'echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet');
    lab.sh('node2', `ip addr add ${OTHER4}/24 dev eth0`);
  });
  afterAll(() => lab?.stop());

  const send = (by: Sender, hex: readonly string[]) => {
    const [place, ...command] = {
      pod: ['node1-a', sender, 'eth0'],
      unknown: ['node1-b', sender, 'unknown0'],
      wire: ['lab', 'env', `TO_MAC=${mac}`, sender, 'lab0'],
      host: ['node1', sender, '-'],
    }[by] as [string, ...string[]];
    const { code, stderr } = lab.exec(place, ...command, ...hex);
    if (code !== 0) throw new Error(stderr);
  };
  /** Sends all packets, then a valid one to each node. Returns how many of each arrived, by name. */
  const arrivals = async (wanted: readonly Attack[]): Promise<ReadonlyMap<string, number>> => {
    const marker = wanted.length + 1;
    const all = wanted.map((attack, i) => ({ ...attack, tag: i + 1 }));
    const byNode = { node1: new Probe(lab, 'node1'), node2: new Probe(lab, 'node2') };
    byNode.node1.watch([...all.filter(({ at }) => at === 'node1'), { tag: marker, point: 'local' }]);
    byNode.node2.watch([...all.filter(({ at }) => at === 'node2'), { tag: marker, point: 'early' }]);
    for (const by of ['unknown', 'wire', 'host', 'pod'] as const) {
      const own = all.filter((attack) => (attack.by ?? 'pod') === by);
      send(
        by,
        own.flatMap((attack) => attack.send().map((hex) => packets.numbered(hex, attack.tag))),
      );
    }
    const honestly = (to: string) => packets.numbered(packets.udp(own(to), 5999), marker);
    send('pod', [honestly(node1[0]), honestly(addresses.remote[0])]);
    const counts = { node1: await byNode.node1.counts(marker), node2: await byNode.node2.counts(marker) };
    return new Map(all.map(({ name, tag, at }) => [name, counts[at].get(tag) ?? 0]));
  };

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

  const attacks: Attack[] = [
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

  const honest: Attack[] = [
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
      send: () => [
        packets.ip({ from: '0.0.0.0', to: '224.0.0.1' }, 2, Buffer.from('1164ee9b00000000', 'hex')),
      ],
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

  describe('with the guard', () => {
    let arrived: ReadonlyMap<string, number>;
    beforeAll(async () => {
      arrived = await arrivals([...attacks, ...honest]);
    });

    for (const { name } of attacks)
      it(`the node drops ${name}`, () => {
        expect(arrived.get(name)).toBe(0);
      });

    for (const { name } of honest)
      it(`the node passes ${name}`, () => {
        expect(arrived.get(name)).toBeGreaterThan(0);
      });
  });

  describe('without the guard', () => {
    let arrived: ReadonlyMap<string, number>;
    beforeAll(async () => {
      await lab.ask({ do: 'node kill', name: 'node1' });
      lab.sh('node1', 'nft delete table inet cali');
      // Disables the kernel's own checks of IPv4 sources.
      lab.sh(
        'node1',
        'for f in /proc/sys/net/ipv4/conf/*; do echo 0 > $f/rp_filter; echo 1 > $f/accept_local; done',
      );
      arrived = await arrivals(attacks);
    });

    for (const { name } of attacks)
      it(`${name} arrives`, () => {
        expect(arrived.get(name)).toBeGreaterThan(0);
      });
  });
});
