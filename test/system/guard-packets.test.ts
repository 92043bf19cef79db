/**
 * Which packets of pods, the wire and IPVS pass the guard. Each packet is sent twice, with and without the guard, and
 * counted at its destination. The second time proves that the packet arrives if nothing drops it.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LabPod } from '../../lab/lab.ts';
import { hasProgram, TestLab } from '../helpers/lab.ts';
import * as packets from '../helpers/packets.ts';
import { Probe } from '../helpers/probe.ts';
import {
  type Attack,
  addresses,
  attacks,
  honest,
  node1,
  node2,
  OTHER4,
  own,
  SERVICE4,
  SERVICE6,
  type Sender,
  UNKNOWN,
} from './guard-packets.cases.ts';

describe.skipIf(!hasProgram('gcc') || !hasProgram('nft'))('packets (skipped without gcc and nft)', () => {
  let lab: TestLab;
  let sender: string;
  let mac = '';
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
