import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { KernelChange } from '../../../../kernel/change.ts';
import { MessageWriter } from '../../../../kernel/netlink/message-writer.ts';
import { encodeChange } from '../../../../kernel/netlink/rtnetlink/change.ts';
import { encodeNextHop, type NextHop } from '../../../../kernel/netlink/rtnetlink/next-hop.ts';
import { decodeNotification } from '../../../../kernel/netlink/rtnetlink/notification.ts';
import type { WriteRequest } from '../../../../kernel/netlink/write-request.ts';
import { type Family, formatAddress, formatCidr, networkOf } from '../../../../lib/cidr.ts';
import type { Hop } from '../../../../model/route.ts';
import { onlyMessage } from '../../../helpers/netlink.ts';

const devices = ['lo', 'eth0', 'cali0123456789a', 'vxlan.cali'];
const context = {
  deviceIndex: (name: string) => devices.indexOf(name) + 1 || undefined,
  namespaceFd: () => 7,
};

const u32 = fc.nat(0xffffffff);
const u8 = fc.nat(0xff);
const device = fc.constantFrom(...devices);
const mac = fc
  .array(u8, { minLength: 6, maxLength: 6 })
  .map((bytes) => bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':'));

function value(family: Family): fc.Arbitrary<bigint> {
  return fc.bigInt({ min: 0n, max: family === 4 ? 0xffffffffn : (1n << 128n) - 1n });
}

function address(family: Family): fc.Arbitrary<string> {
  return value(family).map((bits) => formatAddress({ family, value: bits }));
}

function cidr(family: Family): fc.Arbitrary<{ family: Family; value: bigint; length: number }> {
  return fc.record({
    family: fc.constant(family),
    value: value(family),
    length: fc.nat(family === 4 ? 32 : 128),
  });
}

/** An IPv4 route can have an IPv6 gateway, not the other way round. */
function hop(family: Family): fc.Arbitrary<Hop> {
  const gateway = family === 4 ? fc.oneof(address(4), address(6)) : address(6);
  return fc.oneof(
    fc.record({ gateway: fc.constant(undefined), device }),
    fc.record({ gateway, device, isOnlink: fc.constant(true) }, { requiredKeys: ['gateway', 'device'] }),
  );
}

function routes(family: Family) {
  return fc.record(
    {
      object: fc.constant('route' as const),
      verb: fc.constantFrom('add' as const, 'replace' as const),
      destination: cidr(family).map((one) => formatCidr(networkOf(one))),
      type: fc.constant('unicast' as const),
      protocol: u8,
      metric: u32,
      source: address(family),
      hops: fc.array(hop(family), { minLength: 1, maxLength: 5 }),
    },
    { requiredKeys: ['object', 'verb', 'destination', 'type', 'protocol', 'hops'] },
  );
}

const anyRoute = fc.oneof(routes(4), routes(6));
const anyAddress = fc.oneof(address(4), address(6));

describe('what was encoded is decoded again', () => {
  it('Routes keep destination, protocol, metric, source and next hops.', () => {
    fc.assert(
      fc.property(anyRoute, ({ object, verb, ...route }) => {
        expect(decoded((writer, n) => encodeChange(writer, { object, verb, ...route }, n, context))).toEqual({
          object: 'route',
          isGone: false,
          value: {
            family: route.destination.includes(':') ? 6 : 4,
            table: 254,
            isCloned: false,
            isSelective: false,
            route: { metric: undefined, ...route },
          },
        });
      }),
    );
  });

  it('Blackholes and deletions have no next hop.', () => {
    fc.assert(
      fc.property(anyRoute, fc.constantFrom('add' as const, 'del' as const), (route, verb) => {
        const change = { ...route, verb, type: 'blackhole' as const };
        expect(decoded((writer, n) => encodeChange(writer, change, n, context))).toMatchObject({
          object: 'route',
          isGone: verb === 'del',
          value: { route: { destination: route.destination, type: 'blackhole', hops: [] } },
        });
      }),
    );
  });

  it('Neighbours and forwarding entries keep their addresses and are permanent.', () => {
    fc.assert(
      fc.property(anyAddress, mac, device, (node, lladdr, name) => {
        const neighbour: KernelChange = {
          object: 'neighbour',
          verb: 'replace',
          address: node,
          device: name,
          mac: lladdr,
        };
        expect(decoded((writer, n) => encodeChange(writer, neighbour, n, context))).toMatchObject({
          object: 'neighbour',
          value: { device: name, address: node, mac: lladdr, isPermanent: true },
        });
        const forwarding: KernelChange = {
          object: 'forwarding',
          verb: 'del',
          mac: lladdr,
          device: name,
          node,
        };
        expect(decoded((writer, n) => encodeChange(writer, forwarding, n, context))).toMatchObject({
          object: 'forwarding',
          isGone: true,
          value: { device: name, mac: lladdr, node, isPermanent: true },
        });
      }),
    );
  });

  it('Addresses keep their prefix length, interface and scope.', () => {
    fc.assert(
      fc.property(
        fc.oneof(cidr(4), cidr(6)).map(formatCidr),
        device,
        fc.boolean(),
        (text, name, isLinkScope) => {
          const change: KernelChange = {
            object: 'address',
            verb: 'add',
            cidr: text,
            device: name,
            isLinkScope,
          };
          expect(decoded((writer, n) => encodeChange(writer, change, n, context))).toMatchObject({
            object: 'address',
            value: { address: { device: name, cidr: text, ...(isLinkScope ? { isLinkScope } : {}) } },
          });
        },
      ),
    );
  });

  it('Links keep name, index, MAC, MTU, driver and VXLAN properties.', () => {
    const kind = fc.oneof(
      fc.record({ type: fc.constant('ipip' as const) }),
      fc.record({
        type: fc.constant('vxlan' as const),
        vni: fc.nat(0xffffff),
        port: fc.nat(0xffff),
        local: anyAddress,
      }),
      fc.record({
        type: fc.constant('veth' as const),
        peer: fc.record({ name: device, mac, mtu: u32, netns: fc.constant('/run/netns/a') }),
      }),
    );
    fc.assert(
      fc.property(device, u32, mac, u32, kind, (name, index, lladdr, mtu, driver) => {
        const change: KernelChange = {
          object: 'link',
          verb: 'add',
          name,
          index,
          mac: lladdr,
          mtu,
          kind: driver,
        };
        const { type, ...properties } = driver;
        expect(decoded((writer, n) => encodeChange(writer, change, n, context))).toEqual({
          object: 'link',
          isGone: false,
          value: {
            link: { name, index, mac: lladdr, mtu, isUp: false },
            kind: type,
            ...(type === 'vxlan' ? { vxlan: properties } : {}),
          },
        });
      }),
    );
  });

  it('Next-hop objects keep everything.', () => {
    const target = fc.oneof(
      fc.record({ type: fc.constant('blackhole' as const) }),
      fc.record({
        type: fc.constant('group' as const),
        members: fc.array(fc.record({ id: u32, weight: fc.integer({ min: 1, max: 65_536 }) }), {
          maxLength: 5,
        }),
      }),
      fc.record(
        {
          type: fc.constant('hop' as const),
          gateway: anyAddress,
          device: fc.option(device, { nil: undefined }),
          isOnlink: fc.constant(true),
          isForForwarding: fc.constant(true),
        },
        { requiredKeys: ['type', 'gateway', 'device'] },
      ),
    );
    fc.assert(
      fc.property(fc.record({ id: u32, protocol: u8, target }), (nextHop: NextHop) => {
        const request: WriteRequest = (writer, sequence) =>
          encodeNextHop(writer, 'replace', nextHop, sequence, context.deviceIndex);
        expect(decoded(request)).toEqual({ object: 'next hop', isGone: false, value: nextHop });
      }),
    );
  });
});

const writer = new MessageWriter(16);

function decoded(request: WriteRequest): ReturnType<typeof decodeNotification> {
  writer.reset();
  expect(request(writer, 1)).toBeUndefined();
  return decodeNotification(onlyMessage(writer.bytes()), (index) => devices[index - 1]);
}
