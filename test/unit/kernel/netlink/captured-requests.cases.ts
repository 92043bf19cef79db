/**
 * Requests that iproute2 6.1 sent for changes as `renderChange` writes them, in hexadecimal. The interfaces of the
 * namespace were va (index 3) and vx (77); the file of the network namespace had descriptor 4.
 * Padding, which iproute2 does not clear, is zero here.
 */
import type { KernelChange } from '../../../../kernel/change.ts';

export const deviceIndexes: ReadonlyMap<string, number> = new Map([
  ['va', 3],
  ['vx', 77],
]);
export const NAMESPACE_FD = 4;

export const requests: readonly (readonly [change: KernelChange, request: string])[] = [
  [
    {
      object: 'route',
      verb: 'add',
      type: 'unicast',
      protocol: 161,
      hops: [{ gateway: '10.1.0.2', device: 'va', isOnlink: true }],
      destination: '10.9.0.0/26',
    },
    '3400000018000506e2340a6b00000000021a0000fea1000104000000080001000a090000080005000a0100020800040003000000',
  ],
  [
    {
      object: 'route',
      verb: 'replace',
      type: 'unicast',
      protocol: 161,
      hops: [{ gateway: undefined, device: 'va' }],
      destination: '10.9.0.1/32',
      metric: 7,
      source: '10.1.0.1',
    },
    '3c00000018000505e2340a6b0000000002200000fea1fd0100000000080001000a0900010800060007000000080007000a0100010800040003000000',
  ],
  [
    {
      object: 'route',
      verb: 'replace',
      type: 'unicast',
      protocol: 186,
      hops: [{ gateway: '10.1.0.2', device: undefined }],
      destination: '0.0.0.0/0',
    },
    '2c00000018000505e2340a6b0000000002000000feba0001000000000800010000000000080005000a010002',
  ],
  [
    {
      object: 'route',
      verb: 'replace',
      type: 'blackhole',
      protocol: 161,
      hops: [],
      destination: '10.9.1.0/26',
    },
    '2400000018000505e2340a6b00000000021a0000fea1000600000000080001000a090100',
  ],
  [
    { object: 'route', verb: 'del', type: 'blackhole', protocol: 161, hops: [], destination: '10.9.1.0/26' },
    '2400000019000500e2340a6b00000000021a0000fea1ff0600000000080001000a090100',
  ],
  [
    {
      object: 'route',
      verb: 'del',
      type: 'unicast',
      protocol: 161,
      hops: [],
      destination: '10.9.0.0/26',
      metric: 7,
      source: '10.1.0.1',
    },
    '3400000019000500e2340a6b00000000021a0000fea1ff0000000000080001000a0900000800060007000000080007000a010001',
  ],
  [
    {
      object: 'route',
      verb: 'replace',
      type: 'unicast',
      protocol: 186,
      hops: [{ gateway: 'fd01::9', device: 'va' }],
      destination: '10.9.2.0/24',
    },
    '4400000018000505e2340a6b0000000002180000feba000100000000080001000a090200160012000a00fd01000000000000000000000000000900000800040003000000',
  ],
  [
    {
      object: 'route',
      verb: 'replace',
      type: 'unicast',
      protocol: 186,
      hops: [
        { gateway: '10.1.0.3', device: 'va', isOnlink: true },
        { gateway: 'fd01::9', device: 'va' },
      ],
      destination: '10.9.3.0/24',
    },
    '5800000018000505e2340a6b0000000002180000feba000100000000080001000a090300340009001000040003000000080005000a0100032000000003000000160012000a00fd0100000000000000000000000000090000',
  ],
  [
    {
      object: 'route',
      verb: 'add',
      type: 'unicast',
      protocol: 161,
      hops: [
        { gateway: 'fd01::2', device: 'va' },
        { gateway: 'fd01::3', device: 'vx' },
      ],
      destination: 'fd09::/64',
      metric: 9,
    },
    '7400000018000506e2340a6b000000000a400000fea100010000000014000100fd09000000000000000000000000000008000600090000003c0009001c0000000300000014000500fd0100000000000000000000000000021c0000004d00000014000500fd010000000000000000000000000003',
  ],
  [
    {
      object: 'route',
      verb: 'replace',
      type: 'unicast',
      protocol: 161,
      hops: [{ gateway: undefined, device: 'va' }],
      destination: 'fd09::1/128',
    },
    '3800000018000505e2340a6b000000000a800000fea100010000000014000100fd0900000000000000000000000000010800040003000000',
  ],
  [
    {
      object: 'route',
      verb: 'replace',
      type: 'blackhole',
      protocol: 161,
      hops: [],
      destination: 'fd08::/64',
    },
    '3000000018000505e2340a6b000000000a400000fea100060000000014000100fd080000000000000000000000000000',
  ],
  [
    { object: 'route', verb: 'del', type: 'blackhole', protocol: 161, hops: [], destination: 'fd08::/64' },
    '3000000019000500e2340a6b000000000a400000fea100060000000014000100fd080000000000000000000000000000',
  ],
  [
    { object: 'route', verb: 'del', type: 'unicast', protocol: 161, hops: [], destination: 'fd09::/64' },
    '3000000019000500e2340a6b000000000a400000fea100000000000014000100fd090000000000000000000000000000',
  ],
  [
    {
      object: 'route',
      verb: 'replace',
      type: 'unicast',
      protocol: 161,
      hops: [{ gateway: 'fe80::1', device: 'va' }],
      destination: '::/0',
    },
    '4c00000018000505e2340a6b000000000a000000fea1000100000000140001000000000000000000000000000000000014000500fe8000000000000000000000000000010800040003000000',
  ],
  [
    { object: 'neighbour', verb: 'replace', address: '10.1.0.9', device: 'va', mac: '02:00:00:00:00:09' },
    '300000001c000505e3340a6b00000000020000000300000080000000080001000a0100090a0002000200000000090000',
  ],
  [
    { object: 'neighbour', verb: 'replace', address: 'fd01::9', device: 'va', mac: '02:00:00:00:00:09' },
    '3c0000001c000505e3340a6b000000000a000000030000008000000014000100fd0100000000000000000000000000090a0002000200000000090000',
  ],
  [
    { object: 'neighbour', verb: 'del', address: '10.1.0.9', device: 'va' },
    '240000001d000500e3340a6b00000000020000000300000080000000080001000a010009',
  ],
  [
    { object: 'address', verb: 'add', cidr: '10.2.0.1/32', device: 'va', isLinkScope: true },
    '2800000014000506e2340a6b00000000022000fd03000000080002000a020001080001000a020001',
  ],
  [
    { object: 'address', verb: 'add', cidr: '127.3.0.1/32', device: 'va' },
    '2800000014000506e2340a6b00000000022000fe03000000080002007f030001080001007f030001',
  ],
  [
    { object: 'address', verb: 'add', cidr: 'fd02::1/64', device: 'va', hasNoDad: true, isDeprecated: true },
    '5400000014000506e2340a6b000000000a4002000300000014000200fd02000000000000000000000000000114000100fd0200000000000000000000000000011400060000000000ffffffff0000000000000000',
  ],
  [
    { object: 'address', verb: 'del', cidr: '10.2.0.1/32', device: 'va' },
    '2800000015000500e3340a6b000000000220000003000000080002000a020001080001000a020001',
  ],
  [
    {
      object: 'link',
      verb: 'add',
      name: 'v1',
      index: 80,
      mac: '02:00:00:00:00:01',
      mtu: 1400,
      kind: {
        type: 'veth',
        peer: { name: 'eth0', mac: '02:00:00:00:00:02', mtu: 1400, netns: '/var/run/netns/wirex' },
      },
    },
    '8800000010000506e3340a6b00000000000000005000000000000000000000000a0001000200000000010000080004007805000007000300763100004c0012000800010076657468400002003c000100000000000000000000000000000000000a0001000200000000020000080004007805000008001c0004000000090003006574683000000000',
  ],
  [
    {
      object: 'link',
      verb: 'add',
      name: 'vy',
      mtu: 1400,
      kind: { type: 'vxlan', vni: 4098, port: 4789, local: '10.1.0.1' },
    },
    '6400000010000506e3340a6b000000000000000000000000000000000000000008000400780500000700030076790000340012000900010076786c616e000000240002000800010002100000080004000a010001050007000000000006000f0012b50000',
  ],
  [
    {
      object: 'link',
      verb: 'add',
      name: 'vx6',
      mac: '02:00:00:00:00:01',
      kind: { type: 'vxlan', vni: 4097, port: 4790, local: 'fd01::1' },
    },
    '7400000010000506e3340a6b00000000000000000000000000000000000000000a00010002000000000100000800030076783600400012000900010076786c616e00000030000200080001000110000014001100fd010000000000000000000000000001050007000000000006000f0012b60000',
  ],
  [
    { object: 'link', verb: 'add', name: 'tunl7', kind: { type: 'ipip' } },
    '3800000010000506e3340a6b00000000000000000000000000000000000000000a00030074756e6c370000000c0012000800010069706970',
  ],
  [
    { object: 'forwarding', verb: 'replace', mac: '02:00:00:00:00:0a', device: 'vx', node: '10.1.0.7' },
    '300000001c000505e4340a6b00000000070000004d000000c00002000a00020002000000000a0000080001000a010007',
  ],
  [
    { object: 'forwarding', verb: 'del', mac: '02:00:00:00:00:0a', device: 'vx', node: '10.1.0.7' },
    '300000001d000500e4340a6b00000000070000004d000000c00002000a00020002000000000a0000080001000a010007',
  ],
  [
    { object: 'link', verb: 'set', name: 'vx', mac: '02:00:00:00:00:03', mtu: 1300, isUp: true },
    '3400000010000500e4340a6b00000000000000004d00000001000000010000000a00010002000000000300000800040014050000',
  ],
  [
    { object: 'link', verb: 'set', name: 'vx', mtu: 1310 },
    '2800000010000500e3340a6b00000000000000004d0000000000000000000000080004001e050000',
  ],
  [
    { object: 'link', verb: 'del', name: 'v1' },
    '2000000011000500e3340a6b0000000000000000500000000000000000000000',
  ],
];
