import { describe, expect, it } from 'vitest';
import { RouteMirror } from '../../../../kernel/netlink/route-mirror.ts';
import type { Hop, KernelRoute } from '../../../../model/route.ts';

const route = (destination: string, hops: readonly Hop[], metric?: number): KernelRoute => ({
  destination,
  type: 'unicast',
  protocol: 80,
  metric,
  hops,
});
const eth0: Hop = { gateway: '10.1.0.2', device: 'eth0' };
const eth1: Hop = { gateway: '10.2.0.2', device: 'eth1' };
const loaded = (...routes: KernelRoute[]) => {
  const mirror = new RouteMirror();
  mirror.load(routes);
  mirror.takeChanged();
  return mirror;
};

describe('the copy of the routing table', () => {
  it('It is uncertain until a dump is loaded.', () => {
    const mirror = new RouteMirror();
    expect(mirror.isCertain).toBe(false);
    mirror.load([]);
    expect(mirror.isCertain).toBe(true);
  });

  it('A dump reports how many destinations the notifications missed, once.', () => {
    const mirror = loaded(route('10.9.0.0/24', [eth0]), route('10.9.1.0/24', [eth0]));
    const dump = [route('10.9.1.0/24', [eth1]), route('10.9.2.0/24', [eth0])];
    expect(mirror.load(dump)).toBe(3);
    expect([...mirror.takeChanged()].sort()).toEqual(['10.9.0.0/24', '10.9.1.0/24', '10.9.2.0/24']);
    expect(mirror.load(dump)).toBe(0);
  });

  it('A dump decides the order of IPv4 routes to one destination, of which the first is used.', () => {
    const first = route('10.9.0.0/24', [eth0]);
    const second = route('10.9.0.0/24', [eth1]);
    const mirror = loaded(first, second);
    mirror.load([second, first]);
    expect(mirror.at('10.9.0.0/24')).toEqual([second, first]);
    expect([...mirror.takeChanged()]).toEqual(['10.9.0.0/24']);
  });

  it('A notification that the dump already contains changes nothing.', () => {
    const mirror = loaded(route('10.9.0.0/24', [eth0]));
    mirror.apply(route('10.9.0.0/24', [eth0]), 'new');
    mirror.apply(route('10.9.7.0/24', [eth0]), 'gone');
    expect(mirror.takeChanged().size).toBe(0);
  });

  it('A replacement takes the place of the route with the same metric only.', () => {
    const mirror = loaded(route('10.9.0.0/24', [eth0]), route('10.9.0.0/24', [eth0], 50));
    mirror.apply(route('10.9.0.0/24', [eth1], 50), 'replaced');
    expect(mirror.at('10.9.0.0/24')).toEqual([
      route('10.9.0.0/24', [eth0]),
      route('10.9.0.0/24', [eth1], 50),
    ]);
  });

  it('When a device goes, IPv4 routes through it go, and those of IPv6 wait for their notification.', () => {
    const six = route('fd09::/64', [{ gateway: 'fd02::2', device: 'eth1' }]);
    const mirror = loaded(route('10.9.0.0/24', [eth1]), route('10.9.1.0/24', [eth0]), six);
    mirror.loseDevice('eth1');
    expect([...mirror.all.keys()]).toEqual(['10.9.1.0/24', 'fd09::/64']);
    expect(mirror.isCertain).toBe(true);
  });

  it('When a device goes that a route shares with another, the copy is uncertain.', () => {
    const mirror = loaded(route('10.9.0.0/24', [eth0, eth1]));
    mirror.loseDevice('eth1');
    expect(mirror.isCertain).toBe(false);
  });

  it('The removal of a route that the copy knows differently makes it uncertain.', () => {
    const mirror = loaded(route('10.9.0.0/24', [eth0, eth1]));
    mirror.apply(route('10.9.0.0/24', [eth1]), 'gone');
    expect(mirror.isCertain).toBe(false);
  });

  it('Next hops of one IPv6 route that have different protocols make it uncertain.', () => {
    const first: Hop = { gateway: 'fd01::2', device: 'eth0' };
    const mirror = loaded(route('fd09::/64', [first]));
    mirror.apply(
      { ...route('fd09::/64', [first, { gateway: 'fd02::2', device: 'eth1' }]), protocol: 99 },
      'new',
    );
    expect(mirror.isCertain).toBe(false);
  });
});
