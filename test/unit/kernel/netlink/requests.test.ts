import { describe, expect, it } from 'vitest';
import { MessageWriter } from '../../../../kernel/netlink/message-writer.ts';
import { encodeRoute } from '../../../../kernel/netlink/rtnetlink/encode-route.ts';
import {
  encodeNextHop,
  type NextHop,
  type NextHopTarget,
} from '../../../../kernel/netlink/rtnetlink/next-hop.ts';
import {
  addressDump,
  forwardingDump,
  linkDump,
  linkQuery,
  neighbourDump,
  nextHopDump,
  routeDump,
  routeQuery,
  ruleDump,
} from '../../../../kernel/netlink/rtnetlink/requests.ts';
import type { WriteRequest } from '../../../../kernel/netlink/write-request.ts';
import { deviceIndexes } from './captured-requests.cases.ts';

const deviceIndex = (name: string) => deviceIndexes.get(name);

describe('requests that read have the complete header of their kind', () => {
  it.each<[string, WriteRequest, string]>([
    ['links', linkDump(), '1200 0103 | 00000000 00000000 00000000 00000000 | 08001d00 08000000'],
    [
      'links of a driver',
      linkDump('veth'),
      '1200 0103 | 00000000 00000000 00000000 00000000 | 08001d00 08000000 | 10001280 09000100 76657468 00000000',
    ],
    [
      'a link',
      linkQuery('eth0'),
      '1200 0100 | 00000000 00000000 00000000 00000000 | 08001d00 08000000 | 09000300 65746830 00000000',
    ],
    ['addresses', addressDump(), '1600 0103 | 00000000 00000000'],
    ['IPv6 addresses', addressDump(6), '1600 0103 | 0a000000 00000000'],
    [
      'routes of a table and a protocol',
      routeDump(4, { table: 300, protocol: 161 }),
      '1a00 0103 | 02000000 00a10000 00000000 | 08000f00 2c010000',
    ],
    [
      'IPv6 routes',
      routeDump(6, { table: 254 }),
      '1a00 0103 | 0a000000 00000000 00000000 | 08000f00 fe000000',
    ],
    [
      'the route to an address',
      routeQuery('10.0.0.1'),
      '1a00 0100 | 02200000 00000000 00000000 | 08000100 0a000001',
    ],
    ['neighbours', neighbourDump(4), '1e00 0103 | 02000000 00000000 00000000'],
    ['forwarding entries', forwardingDump(77), '1e00 0103 | 07000000 4d000000 00000000'],
    ['rules', ruleDump(), '2200 0103 | 00000000 00000000 00000000'],
    ['next-hop objects', nextHopDump(), '6a00 0103 | 00000000 00000000'],
  ])('%s', (_, request, expected) => {
    expect(written(request)).toBe(expected.replaceAll(/[ |]/g, ''));
  });

  it('There is no request for the route to a text that is not an address.', () => {
    const writer = new MessageWriter();
    expect(routeQuery('nowhere')(writer, 1)).toMatchObject({ code: 'EINVAL' });
    expect(writer.length).toBe(0);
  });
});

/** Captured from `ip nexthop` of iproute2 6.1, without the header; the attributes in our order. */
describe('next-hop objects become the messages of iproute2', () => {
  const hop = (gateway?: string, device?: string) => ({ type: 'hop' as const, gateway, device });
  const group: NextHopTarget = {
    type: 'group',
    members: [
      { id: 5, weight: 1 },
      { id: 9, weight: 2 },
    ],
  };

  it.each<['add' | 'replace' | 'del', NextHop, string]>([
    [
      'add',
      { id: 5, protocol: 161, target: hop('10.1.0.2', 'va') },
      '6800 0506 | 0200a100 00000000 | 08000100 05000000 | 08000600 0a010002 | 08000500 03000000',
    ],
    [
      'replace',
      { id: 6, protocol: 161, target: { ...hop('fd01::2', 'va'), isOnlink: true } },
      '6800 0505 | 0a00a100 04000000 | 08000100 06000000 | 14000600 fd010000000000000000000000000002 | 08000500 03000000',
    ],
    [
      'replace',
      { id: 7, protocol: 161, target: group },
      '6800 0505 | 0000a100 00000000 | 08000100 07000000 | 14000200 05000000 00000000 09000000 01000000',
    ],
    [
      'add',
      { id: 8, protocol: 161, target: { type: 'blackhole' } },
      '6800 0506 | 0200a100 00000000 | 08000100 08000000 | 04000400',
    ],
    [
      'add',
      { id: 10, protocol: 0, target: { ...hop('10.1.0.3'), isForForwarding: true } },
      '6800 0506 | 02000000 00000000 | 08000100 0a000000 | 08000600 0a010003 | 04000b00',
    ],
    [
      'add',
      { id: 11, protocol: 161, target: hop(undefined, 'va') },
      '6800 0506 | 0200a100 00000000 | 08000100 0b000000 | 08000500 03000000',
    ],
    [
      'del',
      { id: 8, protocol: 161, target: { type: 'blackhole' } },
      '6900 0500 | 00000000 00000000 | 08000100 08000000',
    ],
  ])('nexthop %s %j', (verb, nextHop, expected) => {
    expect(written((writer, sequence) => encodeNextHop(writer, verb, nextHop, sequence, deviceIndex))).toBe(
      expected.replaceAll(/[ |]/g, ''),
    );
  });

  it('route replace 10.10.0.0/24 nhid 5 proto 161', () => {
    const route = { object: 'route', verb: 'replace', type: 'unicast', protocol: 161, hops: [] } as const;
    const change = { ...route, destination: '10.10.0.0/24', nextHopId: 5 };
    expect(written((writer, sequence) => encodeRoute(writer, change, sequence, deviceIndex))).toBe(
      '180005050218 0000 fea1 0001 00000000 080001000a0a0000 08001e0005000000'.replaceAll(' ', ''),
    );
  });

  it.each<[NextHopTarget, string]>([
    [hop('10.1.0.2', 'gone'), 'ENODEV'],
    [hop('nowhere', 'va'), 'EINVAL'],
    [{ type: 'group', members: Array(9_000).fill({ id: 1, weight: 1 }) }, 'EMSGSIZE'],
  ])('The target %j is refused with %s, and nothing is appended.', (target, code) => {
    const writer = new MessageWriter();
    const nextHop = { id: 1, protocol: 161, target };
    expect(encodeNextHop(writer, 'add', nextHop, 1, deviceIndex)).toMatchObject({ code });
    expect(writer.length).toBe(0);
  });
});

/** Returns type, flags and body of the message, in hexadecimal. */
function written(request: WriteRequest): string {
  const writer = new MessageWriter(16);
  expect(request(writer, 5)).toBeUndefined();
  const text = Buffer.from(writer.bytes()).toString('hex');
  expect(Number.parseInt(text.slice(0, 2), 16)).toBe(writer.length);
  return text.slice(8, 16) + text.slice(32);
}
