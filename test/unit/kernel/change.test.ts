import { describe, expect, it } from 'vitest';
import {
  devicesOf,
  type KernelChange,
  type LinkAddition,
  objectOf,
  type RouteChange,
  renderChange,
} from '../../../kernel/change.ts';

const route: RouteChange = {
  ...{ object: 'route', verb: 'add', destination: '10.1.0.0/26', type: 'unicast', protocol: 162 },
  hops: [{ gateway: '10.0.0.2', device: 'eth0' }],
};
const link: Omit<LinkAddition, 'kind'> = { object: 'link', verb: 'add', name: 'x' };
const mac = '02:00:00:00:00:01';

const cases: [text: string, object: string, devices: string, change: KernelChange][] = [
  ['route add 10.1.0.0/26 via 10.0.0.2 dev eth0 proto 162', 'route 10.1.0.0/26', 'eth0', route],
  [
    'route replace 10.1.0.0/26 via 10.0.0.2 dev eth0 proto 162 metric 5 src 10.0.0.1',
    'route 10.1.0.0/26',
    'eth0',
    { ...route, verb: 'replace', metric: 5, source: '10.0.0.1' },
  ],
  [
    'route add 10.1.0.0/26 proto 162 nexthop via 10.0.0.2 dev eth0 nexthop via 10.0.0.3 dev tunl0 onlink',
    'route 10.1.0.0/26',
    'eth0 tunl0',
    { ...route, hops: [...route.hops, { gateway: '10.0.0.3', device: 'tunl0', isOnlink: true }] },
  ],
  [
    'route add 10.1.0.0/26 via inet6 fe80::1 dev eth0 proto 162',
    'route 10.1.0.0/26',
    'eth0',
    { ...route, hops: [{ gateway: 'fe80::1', device: 'eth0' }] },
  ],
  [
    'route add 10.1.0.5/32 dev cali1 scope link proto 161',
    'route 10.1.0.5/32',
    'cali1',
    {
      ...{ ...route, destination: '10.1.0.5/32', protocol: 161 },
      hops: [{ gateway: undefined, device: 'cali1' }],
    },
  ],
  [
    'route add fd00::5/128 dev cali1 proto 161',
    'route fd00::5/128',
    'cali1',
    {
      ...{ ...route, destination: 'fd00::5/128', protocol: 161 },
      hops: [{ gateway: undefined, device: 'cali1' }],
    },
  ],
  [
    'route add blackhole 10.1.0.0/26 proto 162',
    'route 10.1.0.0/26',
    '',
    { ...route, type: 'blackhole', hops: [] },
  ],
  [
    'route del 10.1.0.0/26 proto 162 metric 5',
    'route 10.1.0.0/26',
    '',
    { ...route, verb: 'del', metric: 5, hops: [] },
  ],
  [
    'route del blackhole 10.1.0.0/26 proto 162',
    'route 10.1.0.0/26',
    '',
    { ...route, verb: 'del', type: 'blackhole', hops: [] },
  ],
  [
    `neigh replace fd00::5 lladdr ${mac} dev cali1 nud permanent`,
    'neighbour fd00::5 cali1',
    'cali1',
    { object: 'neighbour', verb: 'replace', address: 'fd00::5', device: 'cali1', mac },
  ],
  [
    'neigh del fd00::5 dev cali1',
    'neighbour fd00::5 cali1',
    'cali1',
    { object: 'neighbour', verb: 'del', address: 'fd00::5', device: 'cali1' },
  ],
  [
    'address add 10.1.0.1/32 dev tunl0 scope link',
    'address 10.1.0.1/32 tunl0',
    'tunl0',
    { object: 'address', verb: 'add', cidr: '10.1.0.1/32', device: 'tunl0', isLinkScope: true },
  ],
  [
    'address add fd00::1/128 dev x nodad preferred_lft 0',
    'address fd00::1/128 x',
    'x',
    {
      ...{ object: 'address', verb: 'add', cidr: 'fd00::1/128', device: 'x' },
      ...{ hasNoDad: true, isDeprecated: true },
    },
  ],
  [
    'address del 10.1.0.1/32 dev tunl0',
    'address 10.1.0.1/32 tunl0',
    'tunl0',
    { object: 'address', verb: 'del', cidr: '10.1.0.1/32', device: 'tunl0' },
  ],
  ['link add name x type ipip', 'link x', 'x', { ...link, kind: { type: 'ipip' } }],
  [
    `link add name x address ${mac} mtu 1450 type vxlan id 4096 dstport 4789 local 10.0.0.1 nolearning`,
    'link x',
    'x',
    { ...link, mac, mtu: 1450, kind: { type: 'vxlan', vni: 4096, port: 4789, local: '10.0.0.1' } },
  ],
  [
    `link add name x index 7 type veth peer name eth0 index 8 address ${mac} mtu 1500 netns /run/netns/p`,
    'link x',
    'x',
    {
      ...{ ...link, index: 7 },
      kind: { type: 'veth', peer: { name: 'eth0', index: 8, mac, mtu: 1500, netns: '/run/netns/p' } },
    },
  ],
  [
    `link set dev x address ${mac} mtu 1400 up`,
    'link x',
    'x',
    { object: 'link', verb: 'set', name: 'x', mac, mtu: 1400, isUp: true },
  ],
  ['link set dev x down', 'link x', 'x', { object: 'link', verb: 'set', name: 'x', isUp: false }],
  ['link del dev x', 'link x', 'x', { object: 'link', verb: 'del', name: 'x' }],
  [
    `fdb replace ${mac} dev x dst 10.0.0.2 self permanent`,
    `forwarding ${mac} x`,
    'x',
    { object: 'forwarding', verb: 'replace', mac, device: 'x', node: '10.0.0.2' },
  ],
  [
    `fdb del ${mac} dev x dst 10.0.0.2 self`,
    `forwarding ${mac} x`,
    'x',
    { object: 'forwarding', verb: 'del', mac, device: 'x', node: '10.0.0.2' },
  ],
];

describe('a change of the kernel', () => {
  it.each(cases)('is written as "%s"', (text, object, devices, change) => {
    expect(renderChange(change)).toBe(text);
    expect(objectOf(change)).toBe(object);
    expect(devicesOf(change).join(' ')).toBe(devices);
  });
});
