import { describe, expect, it } from 'vitest';
import type { Message } from '../../../../kernel/netlink/message.ts';
import { decodeNotification, type Notification } from '../../../../kernel/netlink/rtnetlink/notification.ts';
import { hex, must, onlyMessage } from '../../../helpers/netlink.ts';
import {
  addresses,
  deviceNames,
  forwarding,
  links,
  neighbours,
  nextHops,
  rules,
} from './captured-dumps.cases.ts';
import { routes } from './captured-routes.cases.ts';

describe('entries of dumps are decoded to what ip -j shows', () => {
  it.each(routes.map(([bytes, route]) => [route.destination, bytes, route] as const))(
    'route %s',
    (_, bytes, route) => {
      const { value, ...rest } = decoded(bytes);
      expect(rest).toEqual({ object: 'route', isGone: false });
      expect(value).toMatchObject({ table: 254, isCloned: false });
      expect('route' in value && value.route).toEqual(route);
    },
  );

  it.each(addresses.map(([bytes, address]) => [address?.cidr ?? 'fe80::…', bytes, address] as const))(
    'address %s',
    (_, bytes, address) => {
      const { value } = decoded(bytes);
      if (address) expect('address' in value && value.address).toStrictEqual(address);
      else expect(value).toMatchObject({ family: 6, deviceIndex: 3, scope: 253 });
    },
  );

  it.each(links.map(([bytes, record]) => [record.link.name, bytes, record] as const))(
    'link %s',
    (_, bytes, record) => {
      expect(decoded(bytes).value).toStrictEqual(record);
    },
  );

  it.each(neighbours)('neighbour %s', (bytes, address, mac, isPermanent) => {
    expect(decoded(bytes).value).toStrictEqual({
      family: 4,
      deviceIndex: 3,
      device: 'eth0',
      address,
      ...(mac === undefined ? {} : { mac }),
      isPermanent,
    });
  });

  it.each(forwarding)('forwarding entry %s', (bytes, mac, node, isPermanent) => {
    expect(decoded(bytes).value).toStrictEqual({
      deviceIndex: 77,
      device: 'vxlan.cali',
      mac,
      node,
      isPermanent,
    });
  });

  it.each(rules)('rule %s', (bytes, rule) => {
    expect(decoded(bytes).value).toStrictEqual(rule);
  });

  it.each(nextHops)('next-hop object %s', (bytes, nextHop) => {
    expect(decoded(bytes).value).toStrictEqual(nextHop);
  });
});

describe('fields that the captured objects do not have', () => {
  it('The table of a route comes from its attribute, because the header has no room for numbers above 255.', () => {
    const route = message(24, '02 20 00 00 fc 03 00 01 00000000 0800 0f00 2c010000 0800 0100 0a000001');
    expect(decodeNotification(route, () => undefined)).toMatchObject({ value: { table: 300 } });
  });

  it.each([
    ['being checked for a duplicate', '40000000', { isTentative: true }],
    ['a duplicate', '08000000', { isTentative: true }],
    ['temporary', '01000000', { isFleeting: true }],
    ['deprecated', '20010000', { isFleeting: true }],
    ['the base of temporary ones', '00010000', {}],
  ])('An IPv6 address that is %s is recognized by the flags in its attribute.', (_, flags, state) => {
    const body = `0a 40 00 00 03000000 1400 0100 fd000000000000000000000000000001 0800 0800 ${flags}`;
    expect(decodeNotification(message(20, body), () => 'eth0')).toMatchObject({
      value: { address: { device: 'eth0', cidr: 'fd00::1/64', ...state } },
    });
  });

  it.each([
    ['an IPIP tunnel', '0003', '0a000001', '10.0.0.1'],
    ['an IPv6 tunnel', '0103', 'fd000000000000000000000000000001', 'fd00::1'],
    ['an interface with an address of four bytes', '0100', '0a000001', '0a:00:00:01'],
    ['a tunnel with an address of two bytes', '0003', '0a01', '0a:01'],
  ])('The link address of %s is shown as ip shows it.', (_, type, bytes, mac) => {
    const length = (4 + bytes.length / 2).toString(16).padStart(2, '0');
    const body = `00 00 ${type} 03000000 01000000 00000000 0800 0400 d8050000 0600 0300 6100 0000 ${length}00 0100 ${bytes}`;
    expect(decodeNotification(message(16, body), () => undefined)).toMatchObject({
      value: { link: { index: 3, name: 'a', isUp: true, mtu: 1496, mac } },
    });
  });
});

describe('notifications', () => {
  const [bytes] = routes[3]!;

  it('A deletion is marked as gone, and has the object.', () => {
    const message = { ...onlyMessage(hex(bytes)), type: 25 };
    const notification = decodeNotification(message, (index) => deviceNames.get(index));
    expect(notification).toMatchObject({ object: 'route', isGone: true, value: { family: 4, table: 254 } });
  });

  it('An interface without a known name is named by its index, as iproute2 does.', () => {
    expect(decodeNotification(onlyMessage(hex(bytes)), () => undefined)).toMatchObject({
      value: { route: { hops: [{ device: 'if3' }] } },
    });
  });

  it.each([
    ['an MPLS route', 24, '1c 14 00 00 fe 03 00 01 00000000'],
    [
      'a port that left its bridge',
      17,
      '07 00 0000 03000000 00000000 00000000 09000300 65746830 00000000 08000400 dc050000',
    ],
    ['an event of a wireless device', 16, '00 00 0100 03000000 00000000 00000000 09000300 65746830 00000000'],
    ['an address of a family that we do not know', 20, '24 20 80 00 03000000'],
    ['a multicast routing rule', 32, '80 00 00 00 fd 00 00 01 00000000'],
    ['a traffic class', 40, '00000000'],
  ])('%s is ignored.', (_, type, body) => {
    expect(decodeNotification(message(type, body), () => undefined)).toBeUndefined();
  });

  it.each([
    [
      'a route whose prefix is longer than an address',
      24,
      '02 21 00 00 fe 03 00 01 00000000 0800 0100 0a000001',
    ],
    [
      'a route whose destination has the wrong length',
      24,
      '02 20 00 00 fe 03 00 01 00000000 0600 0100 0a00 0000',
    ],
    [
      'a route with a next hop of length zero',
      24,
      '02 00 00 00 fe 03 00 01 00000000 0c00 0900 0000 00 00 03000000',
    ],
    [
      'a route with a next hop that is too long',
      24,
      '02 00 00 00 fe 03 00 01 00000000 0c00 0900 0900 00 00 03000000',
    ],
    ['an address without an address', 20, '02 20 80 00 03000000'],
    ['an address whose prefix is longer than it', 20, '02 21 80 00 03000000 0800 0100 0a000001'],
    [
      'a rule whose prefix is longer than an address',
      32,
      '02 21 00 00 fe 000001 00000000 0800 0100 0a000001',
    ],
    ['a rule whose prefix has no complete address', 32, '02 00 10 00 fe 000001 00000000 0600 0200 0a00 0000'],
    ['a neighbour without an address', 28, '02 000000 03000000 8000 00 00'],
    ['a forwarding entry without a MAC', 28, '07 000000 03000000 8000 00 00'],
    ['a next-hop object without a number', 104, '02 00 00 00 00000000'],
    ['a message that is shorter than its fixed part', 16, '00 00 0100'],
  ])('%s is malformed.', (_, type, body) => {
    expect(decodeNotification(message(type, body), () => undefined)).toHaveProperty('malformed');
  });
});

function decoded(bytes: string): Notification {
  const notification = decodeNotification(onlyMessage(hex(bytes)), (index) => deviceNames.get(index));
  if (!notification) throw new Error(`${bytes} is ignored`);
  return must(notification);
}

function message(type: number, body: string): Message {
  return { type, flags: 0, sequence: 0, portId: 0, body: hex(body) };
}
