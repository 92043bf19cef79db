import { describe, expect, it } from 'vitest';
import { eventOf } from '../../../../kernel/netlink/events.ts';
import { RT_TABLE_MAIN } from '../../../../kernel/netlink/rtnetlink/constants.ts';
import type { Notification } from '../../../../kernel/netlink/rtnetlink/notification.ts';
import { kernelRoute } from '../../../helpers/kernel-route.ts';

const OWN = 'cali12d4a061371';

describe('a kernel notification', () => {
  it.each<[string, Notification, boolean]>([
    ['a route of the main table', route(RT_TABLE_MAIN), true],
    ['a route of another table', route(255), false],
    ['a route for one type of service', route(RT_TABLE_MAIN, true), false],
    ['a permanent neighbour', neighbour('eth0', true, false), true],
    ['a learned neighbour', neighbour(OWN, false, false), false],
    ['the end of a neighbour of a pod', neighbour(OWN, false, true), true],
    ['the end of a neighbour of another interface', neighbour('california0', false, true), false],
    ['the end of a neighbour of an unknown interface', neighbour('if7', false, true), true],
    ['the end of a forwarding entry', forwarding(true), true],
    ['a learned forwarding entry', forwarding(false), false],
  ])('about %s is relevant or not: %#', (_, notification, expected) => {
    expect(eventOf(notification)?.isRelevant ?? false).toBe(expected);
  });

  it('about a link names the link, also when the link is gone.', () => {
    const link = { index: 12, name: OWN, isUp: true, mac: '', mtu: 1500 };
    for (const isGone of [false, true])
      expect(eventOf({ object: 'link', value: { link }, isGone })).toEqual({
        ...{ link: OWN, isAddress: false, isRelevant: true },
      });
  });

  it('about an address affects routes, except for link-local addresses.', () => {
    expect(eventOf(address('fd00:172:18::11/64'))?.isAddress).toBe(true);
    expect(eventOf(address('172.18.0.11/24'))?.isAddress).toBe(true);
    expect(eventOf(address('fe80::ecee:eeff:feee:eeee/64'))?.isAddress).toBe(false);
  });

  it('that cannot be read counts as lost, and one about anything else is ignored.', () => {
    expect(eventOf({ malformed: 'x' })).toEqual({ isAddress: false, isRelevant: true });
    expect(eventOf(undefined)).toBeUndefined();
  });
});

function route(table: number, isSelective = false): Notification {
  const value = {
    family: 4,
    table,
    isCloned: false,
    isSelective,
    nextHopId: undefined,
    route: kernelRoute('10.0.0.0/26', {}),
  } as const;
  return { object: 'route', value, isGone: false };
}

function neighbour(device: string, isPermanent: boolean, isGone: boolean): Notification {
  const value = { family: 4, deviceIndex: 7, device, address: '10.0.0.5', isPermanent } as const;
  return { object: 'neighbour', value, isGone };
}

function forwarding(isGone: boolean): Notification {
  const value = { deviceIndex: 7, device: 'vxlan.cali', mac: '66:00:00:00:00:01', isPermanent: false };
  return { object: 'forwarding', value, isGone };
}

function address(cidr: string): Notification {
  const value = { family: 4, deviceIndex: 7, scope: 0, address: { device: 'eth0', cidr } } as const;
  return { object: 'address', value, isGone: false };
}
