import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ROUTE_NUMBERS_FILE, RouteNumbersFile } from '../../../agent/inputs/route-numbers.ts';
import { planRoutes } from '../../../felix/dataplane/route-plan.ts';
import { renderChange } from '../../../kernel/change.ts';
import { silentLog } from '../../../lib/log.ts';
import { containerInterfaceName, isOwnInterface, podInterfaceName } from '../../../model/endpoint.ts';
import type { KernelRoute, Route } from '../../../model/route.ts';
import { type Ownership, ownership } from '../../../model/route-ownership.ts';
import { changeProtocols, DEFAULT_PROTOCOLS, refusal } from '../../../model/route-protocols.ts';

const veth = 'cali0123456789a';
const kernel = (destination: string, protocol: number, device = 'eth0', gateway?: string): KernelRoute => ({
  destination,
  type: 'unicast',
  protocol,
  metric: undefined,
  hops: [{ gateway, device }],
});
const blackhole = (destination: string, protocol: number): KernelRoute => ({
  ...kernel(destination, protocol),
  type: 'blackhole',
  hops: [],
});
const upgrade: Ownership = {
  protocols: DEFAULT_PROTOCOLS,
  former: { local: [80], bgp: [186] },
  ranges: ['10.244.0.0/16', '10.96.0.0/12', 'fd00:10::/48'],
};

describe('route ownership', () => {
  it.each<[string, KernelRoute, string | undefined]>([
    ['a pod route with our protocol number is ours', kernel('10.244.0.1/32', 161, veth), 'local'],
    ['a learned route with our protocol number is ours', kernel('0.0.0.0/0', 162), 'bgp'],
    ['a pod route of version 0.1 is ours', kernel('10.9.0.1/32', 80, veth), 'former local'],
    ['a blackhole of version 0.1 in a pool is ours', blackhole('10.244.1.0/26', 80), 'former local'],
    ['another blackhole with proto 80 is foreign', blackhole('10.198.0.0/24', 80), undefined],
    [
      'a route with proto 80 on another device is foreign',
      kernel('10.9.0.1/32', 80, 'california0'),
      undefined,
    ],
    [
      'a learned route of version 0.1 in a pool is ours',
      kernel('10.244.2.0/26', 186, 'eth0', '10.0.0.2'),
      'former bgp',
    ],
    [
      'a learned Service route of version 0.1 is ours',
      kernel('10.96.7.7/32', 186, 'eth0', '10.0.0.2'),
      'former bgp',
    ],
    ['a learned IPv6 route of version 0.1 is ours', kernel('fd00:10:0:1::/64', 186), 'former bgp'],
    ['an FRR route is foreign', kernel('10.50.0.0/16', 186, 'eth0', '10.0.0.2'), undefined],
    ['an FRR route that covers a pool is foreign', kernel('10.0.0.0/8', 186, 'eth0', '10.0.0.2'), undefined],
    ['a BIRD route in a pool is foreign', kernel('10.244.2.0/26', 12, 'eth0', '10.0.0.2'), undefined],
    ['a default route from DHCP is foreign', kernel('0.0.0.0/0', 16, 'eth0', '10.0.0.1'), undefined],
  ])('%s', (_, route, expected) => {
    const owner = ownership(upgrade)(route);
    expect(owner && `${owner.isFormer ? 'former ' : ''}${owner.protocol}`).toBe(expected);
  });

  it('does not follow from 80 and 186 if version 0.1 never ran here', () => {
    const ownerOf = ownership({ ...upgrade, former: { local: [], bgp: [] } });
    expect(ownerOf(kernel('10.244.0.1/32', 80, veth))).toBeUndefined();
    expect(ownerOf(kernel('10.244.2.0/26', 186))).toBeUndefined();
  });

  it('follows from a former number alone if no other program uses it', () => {
    const ownerOf = ownership({ ...upgrade, former: { local: [], bgp: [170] } });
    expect(ownerOf(kernel('192.0.2.0/24', 170))).toEqual({ protocol: 'bgp', isFormer: true });
  });
});

describe('a change of protocol numbers', () => {
  const options = { keepLearned: false, hasLink: () => true, ownership: upgrade };
  const link = kernel('10.0.0.0/24', 2);
  const learned = (destination: string, ...gateways: string[]): Route => ({
    destination,
    type: 'unicast',
    protocol: 'bgp',
    device: undefined,
    gateways,
  });
  const pod: Route = { ...learned('10.244.0.1/32'), protocol: 'local', device: veth };

  it('replaces wanted routes in place without flushing connections, and removes stale ones', () => {
    const plan = planRoutes(
      [pod, learned('10.244.2.0/26', '10.0.0.2')],
      [
        link,
        kernel('10.244.0.1/32', 80, veth),
        kernel('10.244.2.0/26', 186, 'eth0', '10.0.0.2'),
        kernel('10.244.3.0/26', 186, 'eth0', '10.0.0.3'),
        blackhole('10.244.9.0/26', 80),
      ],
      options,
    );
    expect(plan.changes.map(renderChange)).toEqual([
      'route del 10.244.3.0/26 proto 186',
      'route del blackhole 10.244.9.0/26 proto 80',
      `route replace 10.244.0.1/32 dev ${veth} scope link proto 161`,
      'route replace 10.244.2.0/26 via 10.0.0.2 dev eth0 proto 162',
    ]);
    expect(plan).toMatchObject({ moved: [], isMigrating: true, left: [] });
  });

  it('adopts a wanted learned route outside the pools, and leaves FRR’s routes alone', () => {
    const frr = [
      kernel('10.50.0.0/16', 186, 'eth0', '10.0.0.9'),
      kernel('10.51.0.0/16', 186, 'eth0', '10.0.0.9'),
    ];
    const own = kernel('10.52.0.0/16', 186, 'eth0', '10.0.0.2');
    const wanted = [learned('10.52.0.0/16', '10.0.0.2'), learned('10.51.0.0/16', '10.0.0.2')];
    const plan = planRoutes(wanted, [link, own, ...frr], options);
    expect(plan.changes.map(renderChange)).toEqual([
      'route replace 10.52.0.0/16 via 10.0.0.2 dev eth0 proto 162',
    ]);
    expect(plan.blocked).toEqual([
      { destination: '10.51.0.0/16', reason: 'a route of another program has this prefix' },
    ]);
  });

  it('leaves learned routes alone until BGP has converged, and does not complete earlier', () => {
    const present = [
      link,
      kernel('10.52.0.0/16', 186, 'eth0', '10.0.0.2'),
      kernel('10.244.3.0/26', 186, 'eth0', '10.0.0.3'),
    ];
    const plan = planRoutes([learned('10.52.0.0/16', '10.0.0.2')], present, {
      ...options,
      keepLearned: true,
    });
    expect(plan).toMatchObject({ changes: [], isMigrating: true });
  });

  it('is complete when only foreign routes have a former number', () => {
    const frr = kernel('10.50.0.0/16', 186, 'eth0', '10.0.0.9');
    expect(planRoutes([pod], [link, kernel('10.244.0.1/32', 161, veth), frr], options)).toMatchObject({
      changes: [],
      isMigrating: false,
      left: [frr],
    });
  });

  it('remembers each former number until it is in use again', () => {
    const former = changeProtocols(
      { local: 161, bgp: 162 },
      { local: [80], bgp: [] },
      { local: 170, bgp: 162 },
    );
    expect(former).toEqual({ local: [80, 161], bgp: [] });
    expect(changeProtocols({ local: 170, bgp: 162 }, former, { local: 80, bgp: 161 })).toEqual({
      local: [170],
      bgp: [162],
    });
  });

  it.each([
    [0, 'must be a number from 1 to 255'],
    [256, 'must be a number from 1 to 255'],
    [2, 'is kernel, which marks routes of the host itself'],
    [3, 'is boot, which marks routes of the host itself'],
    [4, 'is static, which marks routes of the host itself'],
    [9, 'is ra, which marks routes of the host itself'],
    [16, 'is dhcp, which marks routes of the host itself'],
    [162, 'already marks the other kind of Cali’s routes'],
    [80, undefined],
  ])('to %i is refused with: %s (undefined: accepted)', (number, reason) => {
    expect(refusal(number, 162)).toBe(reason);
  });
});

describe('the file with the protocol numbers of this node', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'cali-numbers-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));
  const file = () => path.join(directory, ROUTE_NUMBERS_FILE);

  it('marks the numbers of version 0.1 as former after an upgrade, once', () => {
    mkdirSync(path.join(directory, 'endpoints'));
    const numbers = new RouteNumbersFile(directory, silentLog);
    expect(numbers.numbers.former).toEqual({ local: [80], bgp: [186] });
    numbers.configure(DEFAULT_PROTOCOLS);
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(new RouteNumbersFile(directory, silentLog).numbers.former).toEqual({ local: [80], bgp: [186] });
    expect(numbers.migrated()).toBe(true);
    expect(numbers.migrated()).toBe(false);
    expect(new RouteNumbersFile(directory, silentLog).numbers).toEqual({
      protocols: DEFAULT_PROTOCOLS,
      former: { local: [], bgp: [] },
    });
  });

  it('has no former numbers on a node that never ran version 0.1', () => {
    expect(new RouteNumbersFile(directory, silentLog).numbers.former).toEqual({ local: [], bgp: [] });
  });

  it('keeps a change of the numbers across restarts', () => {
    new RouteNumbersFile(directory, silentLog).configure(DEFAULT_PROTOCOLS);
    new RouteNumbersFile(directory, silentLog).configure({ local: 170, bgp: 171 });
    expect(JSON.parse(readFileSync(file(), 'utf8'))).toEqual({
      current: { local: 170, bgp: 171 },
      former: { local: [161], bgp: [162] },
    });
  });

  it('is ignored when it is damaged, as after version 0.1', () => {
    mkdirSync(path.join(directory, 'endpoints'));
    writeFileSync(file(), '{"current":{"local":"80 blackhole"');
    expect(new RouteNumbersFile(directory, silentLog).numbers.former).toEqual({ local: [80], bgp: [186] });
  });
});

describe('interface names', () => {
  it.each([
    [podInterfaceName('default', 'busybox'), true],
    [containerInterfaceName('c1'), true],
    [containerInterfaceName('0123456789abcdef'), true],
    ['cali0', false],
    ['california0', false],
    ['cali0123456789', false],
    ['cali0123456789A', false],
    ['cali0123456789ab', false],
    ['tunl0', false],
  ])('%s belongs to Cali: %s', (name, expected) => {
    expect(isOwnInterface(name)).toBe(expected);
  });
});
