/** The copy of the kernel's state against the real kernel: whatever happens, it equals a dump. */
import { spawn, spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { linuxKernel } from '../../kernel/linux.ts';
import type { Kernel, KernelState } from '../../kernel/port.ts';
import { silentLog } from '../../lib/log.ts';
import type { KernelRoute } from '../../model/route.ts';
import { NetworkNamespace } from '../helpers/network-namespace.ts';

const FAMILIES = [4, 6] as const;

let netns: NetworkNamespace;
/** Keeps a copy. */
let kernel: Kernel;
/** Reads dumps. */
let other: Kernel;
let monitor: { close(): void };
let hints = 0;
beforeEach(() => open());
afterEach(close);

function open(receiveBuffer?: number): void {
  netns = new NetworkNamespace();
  const options = { netns: netns.path, ...(receiveBuffer === undefined ? {} : { receiveBuffer }) };
  kernel = linuxKernel(silentLog, options);
  other = linuxKernel(silentLog, { netns: netns.path });
  // The kernel adds link-local addresses some time after a link comes up, and so between two observations.
  netns.withoutLinkLocal();
  netns.batch(LINKS);
  monitor = kernel.watch(() => {
    hints++;
  });
}

function close(): void {
  monitor.close();
  kernel.close();
  other.close();
  netns.remove();
}

const LINKS = [
  'link set lo up',
  ...[0, 1].map((i) => `link add name eth${i} type veth peer name peer${i}`),
  ...['eth0', 'eth1', 'peer0', 'peer1'].map((name) => `link set ${name} up`),
  'address add 10.1.0.1/24 dev eth0',
  'address add 10.2.0.1/24 dev eth1',
  'address add fd01::1/64 dev eth0 nodad',
  'address add fd02::1/64 dev eth1 nodad',
];

const digit = fc.integer({ min: 0, max: 3 });
const card = fc.constantFrom('eth0', 'eth1', 'pod0', 'pod1');
const way = fc.constantFrom('via 10.1.0.2 dev eth0', 'via 10.2.0.2 dev eth1', 'dev pod0', 'dev pod1');
const way6 = fc.constantFrom('via fd01::2 dev eth0', 'via fd02::2 dev eth1', 'dev pod0');
const extra = fc.constantFrom('', 'metric 50', 'tos 0x10', 'src 10.1.0.1', 'src 169.254.7.1');
const command = fc.oneof(
  fc
    .tuple(fc.constantFrom('add', 'replace', 'append', 'prepend', 'del'), digit, way, extra)
    .map(([verb, n, hops, more]) => `route ${verb} 10.9.${n}.0/24 proto 80 ${hops} ${more}`),
  fc
    .tuple(
      fc.constantFrom('add', 'replace', 'append', 'del'),
      digit,
      way6,
      fc.constantFrom('', 'src fd01::7'),
    )
    .map(([verb, n, hops, more]) => `route ${verb} fd09:${n}::/64 proto 80 ${hops} ${more}`),
  fc
    .tuple(
      fc.constantFrom('add', 'del'),
      fc.constantFrom('10.1.0.7/24', '169.254.7.1/32', 'fd01::7/64'),
      card,
    )
    .map(([verb, cidr, device]) => `address ${verb} ${cidr} dev ${device}`),
  fc
    .tuple(fc.constantFrom('replace', 'del'), digit, card, fc.constantFrom('permanent', 'stale'))
    .map(
      ([verb, n, device, state]) =>
        `neigh ${verb} 10.1.0.${n + 4} lladdr 02:00:00:00:00:0${n} nud ${state} dev ${device}`,
    ),
  fc.tuple(fc.constantFrom('add', 'del'), digit, card).map(([verb, n, device]) => {
    return `neigh ${verb} proxy 10.1.0.${n + 4} dev ${device}`;
  }),
  digit.map((n) => `link add pod${n & 1} type veth peer name w${n & 1}`),
  fc.constantFrom(
    ...['link del pod0', 'link del pod1', 'link set pod0 up', 'link set pod1 up', 'link set pod0 down'],
    ...['link set eth1 down', 'link set eth1 up', 'link set pod0 name pod1', 'link set eth0 mtu 1400'],
    'link set pod1 address 02:00:00:00:00:77',
  ),
  fc.constantFrom(
    'nexthop add id 7 via 10.1.0.9 dev eth0',
    'nexthop replace id 7 via 10.1.0.8 dev eth0',
    'nexthop del id 7',
    'route add 10.9.9.0/24 nhid 7',
  ),
);

describe('the copy of the kernel’s state', () => {
  it('After any history of changes, it equals a dump.', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(command, { maxLength: 8 }), { maxLength: 6 }), async (rounds) => {
        close();
        open();
        for (const commands of rounds) {
          spawnSync('ip', ['-n', netns.name, '-force', '-batch', '-'], { input: `${commands.join('\n')}\n` });
          expect(sorted(await kernel.observe(FAMILIES))).toEqual(sorted(await other.observe(FAMILIES)));
          await kernel.observe(FAMILIES, { isFull: true });
          expect(kernel.missedNotifications()).toBe(0);
        }
      }),
      { numRuns: 60, seed: 1 },
    );
  });

  it('Changes while it is read are not lost.', async () => {
    const lines = Array.from({ length: 300 }, (_, i) => [
      `link add cali${i} type veth peer name w${i}`,
      `link set cali${i} up`,
      `route add 10.244.${i >> 8}.${i & 255} dev cali${i}`,
      `neigh add 10.244.${i >> 8}.${i & 255} lladdr 02:00:00:00:00:01 nud permanent dev cali${i}`,
      i % 3 === 0 ? `link del cali${i}` : `route replace 10.99.${i >> 8}.${i & 255} dev cali${i}`,
    ]).flat();
    const child = spawn('ip', ['-n', netns.name, '-batch', '-'], { stdio: ['pipe', 'ignore', 'ignore'] });
    let isRunning = true;
    child.on('close', () => {
      isRunning = false;
    });
    child.stdin.end(`${lines.join('\n')}\n`);
    while (isRunning) await kernel.observe(FAMILIES, { isFull: true });
    expect(sorted(await kernel.observe([4]))).toEqual(sorted(await other.observe([4])));
  });

  it('It is read again when the kernel dropped notifications.', async () => {
    close();
    open(4096);
    await kernel.observe(FAMILIES);
    netns.batch(Array.from({ length: 3000 }, (_, i) => `route add blackhole 10.77.${i >> 8}.${i & 255}`));
    expect((await kernel.observe(FAMILIES)).routes.length).toBeGreaterThan(3000);
  });

  it('It has the changes that the kernel has just acknowledged.', async () => {
    await kernel.observe(FAMILIES);
    const hops = [{ gateway: '10.1.0.2', device: 'eth0' }];
    for (let i = 0; i < 200; i++) {
      const destination = `10.66.0.${i}/32`;
      const change = {
        object: 'route',
        verb: 'add',
        destination,
        type: 'unicast',
        protocol: 80,
        hops,
      } as const;
      expect(await kernel.apply([change])).toEqual([]);
      const { routes } = await kernel.observe([4]);
      expect(routes.some((route) => route.destination === destination)).toBe(true);
    }
    expect(hints).toBeGreaterThan(0);
  });
});

function isIPv4({ destination }: KernelRoute): boolean {
  return !destination.includes(':');
}

function sorted({ links, addresses, routes, neighbours }: KernelState): unknown {
  const order = (list: readonly unknown[]) => list.map((one) => JSON.stringify(one)).sort();
  return {
    links: order([...links.values()]),
    addresses: order(addresses),
    routes: order(routes.map((route) => ({ ...route, hops: [...order(route.hops)] }))),
    // The first of several IPv4 routes to a destination is the one that is used.
    first: order(
      [...new Map(routes.toReversed().map((route) => [route.destination, route])).values()].filter(isIPv4),
    ),
    neighbours: order(neighbours),
  };
}
