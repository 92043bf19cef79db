/** Fault A6: forged tunnel packets that do not come from a node; and A5 for packets that a tunnel carries. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Arena, PORT, podLink, STRANGER } from './arena.ts';
import { fragments, type Header, IPIP, ip, udp, vxlan } from './packets.ts';

const VXLAN_PORT = 4789;
const VNI = 4096;
const nodes = {
  node1: { 4: '172.18.0.11', 6: 'fd00:172:18::11' },
  node2: { 4: '172.18.0.12', 6: 'fd00:172:18::12' },
  node3: { 4: '172.19.0.13', 6: 'fd00:172:19::13' },
} as const;
type Node = keyof typeof nodes;
/** A Service's address, different for each target node because conntrack keeps translations for a while. */
const serviceOf = (node: Node) => {
  const n = Object.keys(nodes).indexOf(node) + 1;
  return { 4: `10.96.0.${n}`, 6: `fd00:96::${n}` } as const;
};
const families = [4, 6] as const;

let arena: Arena;
beforeAll(async () => {
  // node1 and node2 are on one subnet, node3 is on the other.
  arena = await Arena.start(3, '--pods', '2', '--subnets', '2', '--encap', 'vxlan');
  arena.addStranger();
});
afterAll(() => arena?.stop());

const deviceOf = (family: 4 | 6) => (family === 4 ? 'vxlan.cali' : 'vxlan-v6.cali');

/** A VXLAN payload that the device of `node` would accept: a packet from another node's pod to one of its pods. */
async function forged(node: Node, family: 4 | 6, name: string): Promise<Buffer> {
  const mac = arena.mac(node, deviceOf(family));
  const source = await arena.address(node === 'node3' ? 'node2-a' : 'node3-a', family);
  const destination = await arena.address(`${node}-b`, family);
  return vxlan(VNI, mac, udp({ source, destination }, { to: PORT }, name));
}

/** Makes Services on node1 like kube-proxy's, one for a pod's datagrams and one for a whole protocol. */
function translate(target: Node): void {
  const service = serviceOf(target);
  const { stderr } = arena.lab.pipe(
    'node1',
    `table inet hostile {
      chain services {
        type nat hook prerouting priority dstnat; policy accept;
        ip daddr ${service[4]} udp dport 5000 dnat ip to ${nodes[target][4]}:${VXLAN_PORT}
        ip6 daddr ${service[6]} udp dport 5000 dnat ip6 to [${nodes[target][6]}]:${VXLAN_PORT}
        ip daddr ${service[4]} meta l4proto 4 dnat ip to ${nodes[target][4]}
      }
    }\n`,
    ...['nft', '-f', '-'],
  );
  expect(stderr).toBe('');
}
const undo = () => arena.lab.sh('node1', 'nft delete table inet hostile');

describe.each(['node1', 'node2', 'node3'] as const)(
  'a pod on node1 that forges tunnel packets to %s',
  (node) => {
    it.each(families)(
      'a VXLAN packet that a pod forges reaches no pod: whole, in fragments or through a Service (IPv%i)',
      async (family) => {
        const source = await arena.address('node1-a', family);
        const outer: Header = { source, destination: nodes[node][family] };
        const to = { to: VXLAN_PORT };
        const names = ['plain', 'with the port of a node', 'in fragments', 'through a Service'];
        const [plain, likeNode, inPieces, translated] = await Promise.all(
          names.map((name) => forged(node, family, name)),
        );
        translate(node);
        const packets: Record<string, Buffer> = {
          plain: udp(outer, to, plain!),
          'with the port of a node': udp(outer, { from: VXLAN_PORT, to: VXLAN_PORT }, likeNode!),
          'through a Service': udp(
            { source, destination: serviceOf(node)[family] },
            { to: 5000 },
            translated!,
          ),
        };
        if (family === 4) {
          const [head, tail] = fragments(udp(outer, to, inPieces!), 24);
          Object.assign(packets, { 'in fragments': head, 'the rest of it': tail });
          const [first, second] = fragments(
            udp(
              { source, destination: serviceOf(node)[4] },
              { from: 4001, to: 5000 },
              await forged(node, 4, 'pieces through a Service'),
            ),
            24,
          );
          Object.assign(packets, { 'pieces through a Service': first, 'and the rest': second });
        }
        const fence = { source, destination: await arena.address(`${node}-b`, family) };
        const observer = await arena.listen(`${node}-b`, 'eth0');
        expect(await arena.arrived(podLink('node1-a'), observer, packets, fence)).toEqual([]);
        undo();
      },
    );
  },
);

describe('a pod that sends IPIP', () => {
  it.each(['node2', 'node3'] as const)(
    'no IPIP packet from a pod leaves its node: whole, in fragments or through a Service (to %s)',
    async (node) => {
      const source = await arena.address('node1-a', 4);
      const outer = { source, destination: nodes[node][4] };
      const inner = async (name: string) =>
        udp(
          { source: await arena.address('node3-b', 4), destination: await arena.address('node2-a', 4) },
          { to: PORT },
          name,
        );
      translate(node);
      const [head, tail] = fragments(ip(outer, IPIP, await inner('in fragments')), 24);
      const packets = {
        plain: ip(outer, IPIP, await inner('plain')),
        'with options': ip(
          { ...outer, options: Buffer.from('01010100', 'hex') },
          IPIP,
          await inner('with options'),
        ),
        'in fragments': head!,
        'the rest of it': tail!,
        'through a Service': ip(
          { source, destination: serviceOf(node)[4] },
          IPIP,
          await inner('through a Service'),
        ),
      };
      const observer = await arena.listen(node, 'eth0');
      // The fence is a datagram to the node itself.
      expect(await arena.arrived(podLink('node1-a'), observer, packets, outer)).toEqual([]);
      undo();
    },
  );
});

describe('a host on the wire that is not a node', () => {
  it.each(families)(
    'a VXLAN packet from a host that is not a node reaches no pod (IPv%i)',
    async (family) => {
      const header = { source: STRANGER[family], destination: nodes.node2[family] };
      const packets = { forged: udp(header, { to: VXLAN_PORT }, await forged('node2', family, 'forged')) };
      const mac = arena.mac('node2', 'eth0');
      const pod = await arena.address('node2-b', family);
      const observer = await arena.listen('node2-b', 'eth0');
      const fence = { source: STRANGER[family], destination: pod };
      expect(await arena.arrived({ place: 'stranger', link: 'eth0', mac }, observer, packets, fence)).toEqual(
        [],
      );
    },
  );
});

describe('a pod that forges its source address', () => {
  it.each(families)('a pod with a forged source reaches no pod through a tunnel (IPv%i)', async (family) => {
    const source = await arena.address('node1-a', family);
    const destination = await arena.address('node3-a', family);
    const sources = {
      'a pod of its node': await arena.address('node1-b', family),
      'a pod of the other node': await arena.address('node3-b', family),
      'its node': nodes.node1[family],
      "its node's end of the tunnel": (await arena.status('node1')).tunnels.find(
        ({ device }) => device === deviceOf(family),
      )!.address!,
    };
    const packets = Object.fromEntries(
      Object.entries(sources).map(([name, address]) => [
        name,
        udp({ source: address, destination }, { to: PORT }, name),
      ]),
    );
    const observer = await arena.listen('node3-a', 'eth0');
    expect(await arena.arrived(podLink('node1-a'), observer, packets, { source, destination })).toEqual([]);
  });
});

it('pods, nodes and sessions work as before the attacks', () => arena.worksAsBefore());
