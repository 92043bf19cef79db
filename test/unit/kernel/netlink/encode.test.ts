import { describe, expect, it } from 'vitest';
import { type KernelChange, renderChange } from '../../../../kernel/change.ts';
import type { Message } from '../../../../kernel/netlink/message.ts';
import { MessageWriter } from '../../../../kernel/netlink/message-writer.ts';
import { encodeChange } from '../../../../kernel/netlink/rtnetlink/change.ts';
import { IFLA, RTM } from '../../../../kernel/netlink/rtnetlink/constants.ts';
import { attributesAt, hex, onlyMessage } from '../../../helpers/netlink.ts';
import { deviceIndexes, NAMESPACE_FD, requests } from './captured-requests.cases.ts';

const context = {
  deviceIndex: (name: string) => deviceIndexes.get(name),
  namespaceFd: (path: string) => (path === '/var/run/netns/wirex' ? NAMESPACE_FD : undefined),
};

/** Sizes of the fixed parts, by the message type without its last two bits. */
const fixed = new Map([
  [RTM.NEWLINK >> 2, 16],
  [RTM.NEWADDR >> 2, 8],
  [RTM.NEWROUTE >> 2, 12],
  [RTM.NEWNEIGH >> 2, 12],
]);

describe('changes become the messages of iproute2', () => {
  it.each(requests.map(([change, bytes]) => [renderChange(change), change, bytes] as const))(
    '%s has the header, flags and attributes that iproute2 sends.',
    (_, change, bytes) => {
      expect(contentOf(onlyMessage(encoded(change)))).toEqual(
        expectedContent(change, onlyMessage(hex(bytes))),
      );
    },
  );
});

describe('changes that have no message', () => {
  const route = {
    object: 'route',
    verb: 'replace',
    destination: '10.0.0.0/26',
    type: 'unicast',
    protocol: 161,
    hops: [{ gateway: '10.1.0.2', device: 'va' }],
  } as const;
  const hop = { gateway: '10.1.0.2', device: 'va' };
  const neighbour = { object: 'neighbour', verb: 'replace', address: '10.1.0.9', device: 'va' } as const;
  const address = { object: 'address', verb: 'add', device: 'va' } as const;
  const link = { object: 'link', verb: 'add', name: 'vx', kind: { type: 'ipip' } } as const;
  const peer = { name: 'eth0', mac: '02:00:00:00:00:01', mtu: 1400, netns: '/var/run/netns/wirex' };
  const vxlan = { type: 'vxlan', vni: 1, port: 4789, local: 'nowhere' } as const;
  const forwarding = { object: 'forwarding', verb: 'replace', device: 'vx' } as const;

  it.each<[KernelChange, string, string]>([
    [{ ...route, destination: '10.0.0.0/33' }, 'EINVAL', '10.0.0.0/33'],
    [{ ...route, destination: '10.0.0.0/' }, 'EINVAL', '10.0.0.0/'],
    [{ ...route, destination: 'default' }, 'EINVAL', 'default'],
    [{ ...route, destination: 'fd00::/129' }, 'EINVAL', 'fd00::/129'],
    [{ ...route, source: 'fd00::1' }, 'EINVAL', 'fd00::1'],
    [{ ...route, hops: [{ ...hop, device: 'gone' }] }, 'ENODEV', 'Cannot find device "gone"'],
    [{ ...route, hops: [hop, { ...hop, device: 'gone' }] }, 'ENODEV', 'Cannot find device "gone"'],
    [{ ...route, hops: [{ ...hop, gateway: '10.1.0.256' }] }, 'EINVAL', '10.1.0.256'],
    [{ ...route, hops: [hop, { ...hop, gateway: 'x' }] }, 'EINVAL', '"x"'],
    [{ ...route, hops: [{ ...hop, gateway: ':x' }] }, 'EINVAL', '":x"'],
    [{ ...route, destination: 'fd00::/64' }, 'EINVAL', '10.1.0.2'],
    [{ ...route, hops: Array(9_000).fill(hop) }, 'EMSGSIZE', 'too many next hops'],
    [neighbour, 'EINVAL', 'lladdr'],
    [{ ...neighbour, device: 'gone', mac: peer.mac }, 'ENODEV', 'gone'],
    [{ ...neighbour, address: 'x', mac: peer.mac }, 'EINVAL', '"x"'],
    [{ ...address, cidr: '10.0.0.1/64' }, 'EINVAL', '10.0.0.1/64'],
    [{ ...address, cidr: '10.0.0.1/24', device: 'gone' }, 'ENODEV', 'gone'],
    [{ ...link, name: 'sixteen-letters-' }, 'EINVAL', 'sixteen-letters-'],
    [{ ...link, name: 'eth0\0' }, 'EINVAL', 'name'],
    [{ ...link, mac: '02:00' }, 'EINVAL', '02:00'],
    [{ ...link, kind: vxlan }, 'EINVAL', 'nowhere'],
    [{ ...link, kind: { type: 'veth', peer: { ...peer, netns: '/gone' } } }, 'ENOENT', '/gone'],
    [{ ...link, kind: { type: 'veth', peer: { ...peer, name: 'a/b' } } }, 'EINVAL', 'a/b'],
    [{ ...link, kind: { type: 'veth', peer: { ...peer, mac: 'x' } } }, 'EINVAL', '"x"'],
    [{ ...forwarding, mac: peer.mac, node: 'x' }, 'EINVAL', '"x"'],
    [{ ...forwarding, mac: 'x', node: '10.0.0.1' }, 'EINVAL', '"x"'],
    [{ ...forwarding, device: 'gone', mac: peer.mac, node: '10.0.0.1' }, 'ENODEV', 'gone'],
  ])('%j is refused with %s, and nothing is appended.', (change, code, message) => {
    const writer = new MessageWriter(16);
    writer.begin(1, 0, 1);
    writer.end();
    expect(encodeChange(writer, change, 2, context)).toEqual({
      code,
      message: expect.stringContaining(message) as string,
    });
    writer.begin(3, 0, 3);
    writer.end();
    expect(writer.length).toBe(32);
  });
});

function encoded(change: KernelChange): Uint8Array {
  const writer = new MessageWriter(16);
  expect(encodeChange(writer, change, 5, context)).toBeUndefined();
  return writer.bytes();
}

/** Type, flags, fixed part and the attributes by type. Their order does not matter to the kernel. */
function contentOf({ type, flags, body }: Message) {
  const size = fixed.get(type >> 2) ?? 0;
  const attributes = attributesAt(body, size)
    .list()
    .map(({ type, value }) => `${type}: ${text(value)}`);
  return { type, flags, fixed: text(body.subarray(0, size)), attributes: attributes.sort() };
}

/** We name an existing link; iproute2 looks its index up first. */
function expectedContent(change: KernelChange, message: Message) {
  const content = contentOf(message);
  if (change.object !== 'link' || change.verb === 'add') return content;
  const index = message.body.slice(0);
  index.fill(0, 4, 8);
  const name = `${IFLA.IFNAME}: ${Buffer.from(`${change.name}\0`).toString('hex')}`;
  return { ...content, fixed: text(index.subarray(0, 16)), attributes: [...content.attributes, name].sort() };
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
