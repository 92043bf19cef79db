import { describe, expect, it } from 'vitest';
import { Mirror } from '../../../../kernel/netlink/mirror.ts';
import { RT_TABLE_MAIN } from '../../../../kernel/netlink/rtnetlink/constants.ts';
import type { Notification, ObjectRecord } from '../../../../kernel/netlink/rtnetlink/notification.ts';
import type { InterfaceAddress, KernelState, Link } from '../../../../kernel/port.ts';
import type { KernelRoute } from '../../../../model/route.ts';
import { kernelRoute } from '../../../helpers/kernel-route.ts';

const eth0: Link = { index: 2, name: 'eth0', isUp: true, mac: '02:00:00:00:00:01', mtu: 1500 };
const address: InterfaceAddress = { device: 'eth0', cidr: '10.1.0.1/24' };
const quiet: InterfaceAddress = { device: 'eth0', cidr: '169.254.7.1/32' };
const neighbour = { address: '10.1.0.2', device: 'eth0', mac: '02:00:00:00:00:02' };
const dump = (routes: readonly KernelRoute[] = []): KernelState => ({
  links: new Map([['eth0', eth0]]),
  addresses: [address, quiet],
  neighbours: [neighbour],
  routes,
});
const loaded = (...routes: KernelRoute[]) => {
  const mirror = new Mirror();
  mirror.load(dump(routes), []);
  return mirror;
};
const change = (record: ObjectRecord, isGone = false) => ({
  notification: { ...record, isGone } satisfies Notification,
  isReplaced: false,
});
const routeRecord = (route: KernelRoute): ObjectRecord => ({
  object: 'route',
  value: {
    family: 4,
    table: RT_TABLE_MAIN,
    isCloned: false,
    isSelective: false,
    nextHopId: undefined,
    route,
  },
});
const addressRecord = (value: InterfaceAddress): ObjectRecord => ({
  object: 'address',
  value: { family: 4, deviceIndex: 2, scope: 0, address: value },
});
const via = (destination: string, more: Partial<KernelRoute> = {}) =>
  kernelRoute(destination, { hops: [{ gateway: '10.1.0.2', device: 'eth0' }], ...more });

describe('the copy of the kernel’s state', () => {
  it('It is uncertain until a dump is loaded.', () => {
    expect(new Mirror().isCertain).toBe(false);
    expect(loaded().isCertain).toBe(true);
  });

  it('A state that was given out does not change later.', () => {
    const mirror = loaded(via('10.9.0.0/24'));
    const before = mirror.state([4, 6]);
    const copy = structuredClone(before);
    mirror.apply(change(routeRecord(via('10.9.1.0/24'))));
    mirror.apply(change({ object: 'link', value: { link: { ...eth0, isUp: false } } }));
    expect(before).toEqual(copy);
    expect(mirror.state([4, 6]).routes).toEqual([]);
    expect(mirror.state([4, 6]).links.get('eth0')?.isUp).toBe(false);
  });

  it('What changes while a dump is read counts, whether or not the dump contains it.', () => {
    const mirror = new Mirror();
    const meanwhile = [
      change(routeRecord(via('10.9.0.0/24')), true),
      change(routeRecord(via('10.9.1.0/24'))),
    ];
    mirror.load(dump([via('10.9.0.0/24'), via('10.9.1.0/24')]), meanwhile);
    expect(mirror.state([4]).routes.map(({ destination }) => destination)).toEqual(['10.9.1.0/24']);
  });

  it('A dump counts what notifications missed, unless the copy was uncertain or something changed meanwhile.', () => {
    const mirror = loaded();
    expect(mirror.load(dump([via('10.9.0.0/24')]), [])).toBe(1);
    expect(mirror.load({ ...dump(), neighbours: [] }, [])).toBe(2);
    expect(mirror.load(dump(), [change(routeRecord(via('10.9.0.0/24')), true)])).toBe(0);
    mirror.doubt();
    expect(mirror.load(dump([via('10.9.0.0/24')]), [])).toBe(0);
  });

  it('Routes to one destination are in the order of their metrics.', () => {
    const mirror = loaded(via('0.0.0.0/0', { metric: 600 }));
    mirror.apply(change(routeRecord(via('0.0.0.0/0', { metric: 100 }))));
    expect(mirror.state([4, 6]).routes.map(({ metric }) => metric)).toEqual([100, 600]);
  });

  it.each<[string, (mirror: Mirror) => void, boolean]>([
    ['an address goes', (mirror) => mirror.apply(change(addressRecord(address), true)), false],
    ['a link-local address goes', (mirror) => mirror.apply(change(addressRecord(quiet), true)), true],
    [
      'the source of a route goes',
      (mirror) => {
        mirror.apply(change(routeRecord(via('10.9.0.0/24', { source: '169.254.7.1' }))));
        mirror.apply(change(addressRecord(quiet), true));
      },
      false,
    ],
    [
      'a link has another name',
      (mirror) => mirror.apply(change({ object: 'link', value: { link: { ...eth0, name: 'eth1' } } })),
      false,
    ],
    [
      'a second route has the same metric',
      (mirror) => {
        mirror.apply(change(routeRecord(via('10.9.0.0/24'))));
        mirror.apply(change(routeRecord(via('10.9.0.0/24', { protocol: 99 }))));
      },
      false,
    ],
  ])('When %s, it is certain: %#', (_, act, expected) => {
    const mirror = loaded();
    act(mirror);
    expect(mirror.isCertain).toBe(expected);
  });

  it('A neighbour that another host is answered for is not a neighbour.', () => {
    const mirror = loaded();
    const { address: proxied, device } = neighbour;
    const value = { family: 4, deviceIndex: 2, device, address: proxied, isPermanent: false } as const;
    mirror.apply(change({ object: 'neighbour', value: { ...value, isProxy: true } }));
    expect(mirror.state([4]).neighbours).toEqual([neighbour]);
    mirror.apply(change({ object: 'neighbour', value }));
    expect(mirror.state([4]).neighbours).toEqual([]);
  });
});
