import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { resolveNextHop } from '../../../felix/dataplane/next-hops.ts';
import { planRoutes, planTable } from '../../../felix/dataplane/route-plan.ts';
import { byDestination, divideRoutes } from '../../../felix/dataplane/route-table.ts';
import { type KernelChange, renderChange } from '../../../kernel/change.ts';
import type { KernelRoute, Route } from '../../../model/route.ts';
import { DEFAULT_PROTOCOLS, NO_FORMER } from '../../../model/route-protocols.ts';
import { parseRoute } from '../../helpers/ip-json.ts';
import { kernelRoute as kernel } from '../../helpers/kernel-route.ts';

const link = kernel('10.0.0.0/24');
const gateway = kernel('0.0.0.0/0', { via: '10.0.0.254', protocol: 3 });
const workload = (destination: string, device: string): Route => ({
  destination,
  type: 'unicast',
  protocol: 'local',
  device,
  gateways: [],
});
const blackhole = (destination: string): Route => ({
  destination,
  type: 'blackhole',
  protocol: 'local',
  device: undefined,
  gateways: [],
});
const learned = (destination: string, ...gateways: string[]): Route => ({
  destination,
  type: 'unicast',
  protocol: 'bgp',
  device: undefined,
  gateways,
});
const owned = { protocols: DEFAULT_PROTOCOLS, former: NO_FORMER, ranges: [] };
const options = { keepLearned: false, hasLink: () => true, ownership: owned };
const texts = (changes: readonly KernelChange[]) => changes.map(renderChange);
const commands = (wanted: Route[], present: KernelRoute[], more = {}) =>
  texts(planRoutes(wanted, present, { ...options, ...more }).changes);

describe('the plan for the routing table', () => {
  it('adds missing routes', () => {
    expect(
      commands(
        [
          workload('10.1.0.1/32', 'cali1'),
          blackhole('10.1.0.0/26'),
          learned('10.2.0.0/26', '10.0.0.2'),
          workload('fd00::1/128', 'cali1'),
        ],
        [link],
      ),
    ).toEqual([
      'route add 10.1.0.1/32 dev cali1 scope link proto 161',
      'route add blackhole 10.1.0.0/26 proto 161',
      'route add 10.2.0.0/26 via 10.0.0.2 dev eth0 proto 162',
      'route add fd00::1/128 dev cali1 proto 161',
    ]);
  });

  it('is empty when all routes are correct, whatever the order of next hops', () => {
    const present = [
      link,
      kernel('10.1.0.1/32', { protocol: 161, dev: 'cali1' }),
      kernel('10.1.0.0/26', { protocol: 161, type: 'blackhole', hops: [] }),
      kernel('10.2.0.0/26', {
        protocol: 162,
        hops: [
          { gateway: '10.0.0.3', device: 'eth0' },
          { gateway: '10.0.0.2', device: 'eth0' },
        ],
      }),
    ];
    expect(
      commands(
        [
          workload('10.1.0.1/32', 'cali1'),
          blackhole('10.1.0.0/26'),
          learned('10.2.0.0/26', '10.0.0.2', '10.0.0.3'),
        ],
        present,
      ),
    ).toEqual([]);
  });

  it('replaces different routes and removes unwanted ones, removals first', () => {
    const present = [
      link,
      kernel('10.1.0.1/32', { protocol: 161, dev: 'cali9' }),
      kernel('10.8.0.0/26', { protocol: 161, type: 'blackhole', hops: [] }),
      kernel('10.9.0.0/26', { protocol: 162, via: '10.0.0.2' }),
      kernel('fd09::/64', { protocol: 161, metric: 1024 }),
      kernel('10.7.0.0/24', { protocol: 161, metric: 77 }),
    ];
    const plan = planRoutes([workload('10.1.0.1/32', 'cali1')], present, options);
    expect(texts(plan.changes)).toEqual([
      'route del blackhole 10.8.0.0/26 proto 161',
      'route del 10.9.0.0/26 proto 162',
      'route del fd09::/64 proto 161 metric 1024',
      'route del 10.7.0.0/24 proto 161 metric 77',
      'route replace 10.1.0.1/32 dev cali1 scope link proto 161',
    ]);
    expect(plan.moved).toEqual(['10.1.0.1']);
  });

  it('installs equal paths as one multipath route', () => {
    expect(commands([learned('10.2.0.0/26', '10.0.0.2', '10.0.0.3')], [link])).toEqual([
      'route add 10.2.0.0/26 proto 162 nexthop via 10.0.0.2 dev eth0 nexthop via 10.0.0.3 dev eth0',
    ]);
  });

  it('resolves an off-link next hop through a route, but never through one of ours', () => {
    expect(commands([learned('10.2.0.0/26', '192.0.2.1')], [link, gateway])).toEqual([
      'route add 10.2.0.0/26 via 10.0.0.254 dev eth0 proto 162',
    ]);
    const plan = planRoutes(
      [learned('10.2.0.0/26', '192.0.2.1')],
      [link, kernel('192.0.2.0/24', { protocol: 162, via: '10.0.0.5' })],
      { ...options, keepLearned: true },
    );
    expect(plan).toMatchObject({
      changes: [],
      blocked: [{ destination: '10.2.0.0/26', reason: 'no route to the next hop 192.0.2.1' }],
    });
    expect(resolveNextHop('10.0.0.7', [gateway, link])).toEqual({ gateway: '10.0.0.7', device: 'eth0' });
  });

  it('leaves learned routes alone until BGP has converged, but adds new ones', () => {
    const present = [
      link,
      kernel('10.2.0.0/26', { protocol: 162, via: '10.0.0.2' }),
      kernel('10.3.0.0/26', { protocol: 162, via: '10.0.0.2' }),
    ];
    const wanted = [learned('10.3.0.0/26', '10.0.0.9'), learned('10.4.0.0/26', '10.0.0.2')];
    expect(commands(wanted, present, { keepLearned: true })).toEqual([
      'route add 10.4.0.0/26 via 10.0.0.2 dev eth0 proto 162',
    ]);
    expect(commands(wanted, present)).toHaveLength(3);
  });

  it('never replaces or removes a foreign route, and reports one that is in the way', () => {
    const foreign = kernel('10.2.0.0/26', { protocol: 4, via: '10.0.0.77' });
    const plan = planRoutes(
      [learned('10.2.0.0/26', '10.0.0.2')],
      [link, foreign, kernel('10.6.0.0/16', { protocol: 99 })],
      options,
    );
    expect(texts(plan.changes)).toEqual([]);
    expect(plan.blocked).toEqual([
      { destination: '10.2.0.0/26', reason: 'a route of another program has this prefix' },
    ]);
  });

  it('waits for a missing interface', () => {
    const plan = planRoutes([workload('10.1.0.1/32', 'cali1')], [link], { ...options, hasLink: () => false });
    expect(plan).toMatchObject({ changes: [], blocked: [{ reason: 'interface cali1 is missing' }] });
  });

  it('touches only routes with our protocol numbers, whatever the kernel has', () => {
    const destination = fc.nat(20).map((i) => `10.${i}.0.0/26`);
    const route = fc
      .record({ destination, protocol: fc.constantFrom(161, 162, 2, 4, 80, 99, 186) })
      .map(({ destination: d, protocol }) => kernel(d, { protocol, via: '10.0.0.2' }));
    fc.assert(
      fc.property(
        fc.uniqueArray(route, { selector: (r) => `${r.destination}${r.protocol}` }),
        fc.uniqueArray(destination),
        (present, wanted) => {
          const { changes } = planRoutes(
            wanted.map((d) => learned(d, '10.0.0.2')),
            [link, ...present],
            options,
          );
          for (const { verb, destination: target } of changes) {
            const ours = present.filter(
              (r) => r.destination === target && (r.protocol === 161 || r.protocol === 162),
            );
            const foreign = present.filter(
              (r) => r.destination === target && r.protocol !== 161 && r.protocol !== 162,
            );
            if (verb === 'add') expect([ours.length, foreign.length]).toEqual([0, 0]);
            else expect(ours.length).toBeGreaterThan(0);
          }
        },
      ),
    );
  });
});

describe('the plan for some destinations', () => {
  it('has the same changes as the plan for all, whatever was wanted and present', () => {
    const destination = fc.nat(9).map((i) => `10.${i}.0.0/26`);
    const route = fc
      .record({ destination, protocol: fc.constantFrom(161, 162, 4), via: fc.constantFrom('2', '3') })
      .map(({ destination: d, protocol, via }) => kernel(d, { protocol, via: `10.0.0.${via}` }));
    fc.assert(
      fc.property(
        fc.uniqueArray(route, { selector: ({ destination: d }) => d }),
        fc.uniqueArray(destination),
        fc.uniqueArray(destination),
        (present, wanted, some) => {
          const routes = wanted.map((d) => learned(d, '10.0.0.2'));
          const all = planRoutes(routes, [link, ...present], options);
          const table = divideRoutes([link, ...present], owned);
          const plan = planTable(byDestination(routes), table, options, new Set(some));
          const isOfSome = ({ destination: d }: { destination: string }) => some.includes(d);
          const sorted = (list: readonly unknown[]) => list.map((one) => JSON.stringify(one)).sort();
          expect(sorted(plan.changes)).toEqual(sorted(all.changes.filter(isOfSome)));
          expect(sorted(plan.blocked)).toEqual(sorted(all.blocked.filter(isOfSome)));
        },
      ),
    );
  });
});

describe('a route in the kernel', () => {
  it('a next hop that is a local pod is reached through its veth if the pod itself advertised it', () => {
    const route = learned('10.9.0.0/24', '10.1.0.5');
    const pod = workload('10.1.0.5/32', 'cali5');
    expect(commands([pod, { ...route, pods: ['10.1.0.5'] }], [])).toContain(
      'route add 10.9.0.0/24 via 10.1.0.5 dev cali5 proto 162',
    );
    const { blocked } = planRoutes([pod, route], [gateway], options);
    expect(blocked).toEqual([{ destination: '10.9.0.0/24', reason: 'no route to the next hop 10.1.0.5' }]);
  });

  it.each(['10.0.0.0', '10.0.0.255', '10.0.0.11'])(
    'nothing is reached through the network, broadcast or own address %s',
    (nextHop) => {
      const plan = planRoutes([learned('10.9.0.0/24', nextHop)], [link, gateway], {
        ...options,
        ownAddresses: new Set(['10.0.0.11']),
      });
      expect(texts(plan.changes)).toEqual([]);
      expect(plan.blocked[0]!.reason).toBe(`no route to the next hop ${nextHop}`);
    },
  );

  it('both addresses of a two-address network are hosts', () => {
    const pair = kernel('192.0.2.0/31');
    expect(resolveNextHop('192.0.2.0', [pair])).toEqual({ gateway: '192.0.2.0', device: 'eth0' });
    expect(resolveNextHop('192.0.2.1', [pair])).toEqual({ gateway: '192.0.2.1', device: 'eth0' });
  });

  it('a link-local next hop is reached when exactly one link is not a pod’s', () => {
    const links = ['eth0', 'cali0123456789a'].map((dev) => kernel('fe80::/64', { dev }));
    expect(resolveNextHop('fe80::9', links)).toEqual({ gateway: 'fe80::9', device: 'eth0' });
    expect(resolveNextHop('fe80::9', [...links, kernel('fe80::/64', { dev: 'eth1' })])).toBeUndefined();
    expect(resolveNextHop('fe80::9%eth1', links)).toEqual({ gateway: 'fe80::9', device: 'eth1' });
  });

  it.each([
    ['127.0.0.0/8', /martian: loopback/],
    ['169.254.1.1/32', /martian: link-local/],
    ['ff02::/16', /martian: multicast/],
    ['10.0.0.11/32', /an address of this node/],
    ['0.0.0.0/0', /its own default route/],
  ])('a learned %s is never programmed, and an existing one is removed', (destination, reason) => {
    const route = learned(destination, '10.0.0.2');
    const present = kernel(destination, { protocol: 162, via: '10.0.0.2' });
    const all = { ...options, ownAddresses: new Set(['10.0.0.11']) };
    const plan = planRoutes([route], [link, gateway, present], all);
    expect(plan.blocked[0]!.reason).toMatch(reason);
    expect(texts(plan.changes)).toEqual([expect.stringMatching(/^route del /)]);
  });

  it('a default route learned by an older version is adopted', () => {
    const former = kernel('0.0.0.0/0', { via: '10.0.0.2', protocol: 186 });
    const ownership = { ...owned, former: { local: [], bgp: [186] } };
    const plan = planRoutes([learned('0.0.0.0/0', '10.0.0.2')], [link, former], { ...options, ownership });
    expect(plan.blocked).toEqual([]);
    expect(texts(plan.changes)).toEqual(['route replace 0.0.0.0/0 via 10.0.0.2 dev eth0 proto 162']);
  });

  it('a learned route of a pool in class E is programmed', () => {
    expect(commands([learned('240.10.0.0/26', '10.0.0.2')], [link])).toEqual([
      'route add 240.10.0.0/26 via 10.0.0.2 dev eth0 proto 162',
    ]);
  });

  it('a learned default route is used while the host has none, or if it may replace it, whatever DHCP’s metric', () => {
    const route = learned('0.0.0.0/0', '10.0.0.2');
    const added = 'route add 0.0.0.0/0 via 10.0.0.2 dev eth0 proto 162';
    const dhcp = kernel('0.0.0.0/0', { via: '10.0.0.254', protocol: 16, metric: 100 });
    expect(commands([route], [link])).toEqual([added]);
    expect(commands([route], [link, dhcp])).toEqual([]);
    expect(commands([route], [link, dhcp], { mayReplaceDefault: true })).toEqual([added]);
    const ours = kernel('0.0.0.0/0', { via: '10.0.0.2', protocol: 162 });
    expect(commands([route], [link, dhcp, ours])).toEqual(['route del 0.0.0.0/0 proto 162']);
  });

  it('a tunnel route is onlink, replaces a direct one, and needs no change when present', () => {
    const tunnels = [{ gateway: '10.0.9.9', device: 'tunl0', isOnlink: true }];
    const route = { ...learned('10.3.0.0/26'), tunnels };
    const onlink = 'via 10.0.9.9 dev tunl0 onlink proto 162';
    expect(commands([route], [link])).toEqual([`route add 10.3.0.0/26 ${onlink}`]);
    const row = { dst: '10.3.0.0/26', protocol: '162', gateway: '10.0.9.9', dev: 'tunl0', flags: ['onlink'] };
    expect(commands([route], [link, parseRoute(row, 4)])).toEqual([]);
    const native = parseRoute({ ...row, dev: 'eth0', flags: [] }, 4);
    expect(commands([route], [link, native])).toEqual([`route replace 10.3.0.0/26 ${onlink}`]);
    const { blocked } = planRoutes([route], [link], { ...options, hasLink: () => false });
    expect(blocked[0]!.reason).toBe('interface tunl0 is missing');
  });
});
