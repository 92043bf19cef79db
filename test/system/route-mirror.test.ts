/** The copy of the routing table against the real kernel: after any history of changes it equals a dump. */
import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NLM_F_REPLACE } from '../../kernel/netlink/constants.ts';
import { dump } from '../../kernel/netlink/dump.ts';
import { isMalformed, type Message } from '../../kernel/netlink/message.ts';
import { Notifications } from '../../kernel/netlink/notifications.ts';
import { RouteMirror } from '../../kernel/netlink/route-mirror.ts';
import { RT_TABLE_MAIN } from '../../kernel/netlink/rtnetlink/constants.ts';
import { decodeRoute } from '../../kernel/netlink/rtnetlink/decode-route.ts';
import { decodeNotification } from '../../kernel/netlink/rtnetlink/notification.ts';
import { routeDump } from '../../kernel/netlink/rtnetlink/requests.ts';
import { NETLINK_ROUTE, NetlinkSocket } from '../../kernel/netlink/socket.ts';
import type { KernelRoute } from '../../model/route.ts';
import { NetworkNamespace } from '../helpers/network-namespace.ts';

interface LinkJson {
  readonly ifindex: number;
  readonly ifname: string;
}

/** Added last: when it has been reported, everything before it has. */
const LAST = '192.0.2.1/32';

let netns: NetworkNamespace;
let notifications: Notifications | undefined;
beforeEach(() => {
  netns = new NetworkNamespace();
});
afterEach(() => {
  notifications?.close();
  netns.remove();
});

const LINKS = [
  'link add name eth0 type veth peer name peer0',
  'link add name eth1 type veth peer name peer1',
  ...['eth0', 'eth1', 'peer0', 'peer1'].map((name) => `link set ${name} addrgenmode none up`),
  'address add 10.1.0.1/24 dev eth0',
  'address add 10.2.0.1/24 dev eth1',
  'address add fd01::1/64 dev eth0 nodad',
  'address add fd02::1/64 dev eth1 nodad',
];

const hop = fc.constantFrom('via 10.1.0.2 dev eth0', 'via 10.2.0.2 dev eth1', 'via 10.1.0.3 dev eth0');
const hop6 = fc.constantFrom('via fd01::2 dev eth0', 'via fd02::2 dev eth1', 'via fd01::3 dev eth0');
const routeOf = (prefix: string, hops: fc.Arbitrary<string>) =>
  fc
    .tuple(
      fc.constantFrom('add', 'replace', 'append', 'del'),
      fc.integer({ min: 0, max: 3 }),
      fc.oneof(
        hops,
        fc
          .uniqueArray(hops, { minLength: 2, maxLength: 2 })
          .map((list) => list.map((one) => `nexthop ${one}`).join(' ')),
      ),
      fc.constantFrom('', 'metric 50'),
      fc.constantFrom('proto 80', 'proto 99'),
    )
    .map(
      ([verb, n, way, metric, protocol]) =>
        `route ${verb} ${prefix.replace('N', String(n))} ${protocol} ${metric} ${way}`,
    );
const blackhole = fc
  .tuple(fc.constantFrom('add', 'replace', 'del'), fc.integer({ min: 0, max: 3 }))
  .map(([verb, n]) => `route ${verb} blackhole 10.9.${n}.0/24 proto 80`);
const link = fc.constantFrom(
  'link set eth1 down',
  'link set eth1 up',
  'address del 10.2.0.1/24 dev eth1',
  'address add 10.2.0.1/24 dev eth1',
);
const command = fc.oneof(
  { weight: 4, arbitrary: routeOf('10.9.N.0/24', hop) },
  { weight: 4, arbitrary: routeOf('fd09:N::/64', hop6) },
  { weight: 1, arbitrary: blackhole },
  { weight: 1, arbitrary: link },
);

describe('the copy of the routing table', () => {
  it('After any history of changes, it equals a dump, or says that it may not.', async () => {
    let certain = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 1, maxLength: 25 }), async (commands) => {
        netns.remove();
        netns = new NetworkNamespace();
        netns.batch(LINKS);
        const names = new Map<number, string>();
        const mirror = new RouteMirror();
        notifications = new Notifications(
          { message: (message) => follow(mirror, message, names), lost: () => mirror.doubt() },
          { netns: netns.path },
        );
        for (const { ifindex, ifname } of JSON.parse(netns.ip('-j link')) as LinkJson[])
          names.set(ifindex, ifname);
        mirror.load(await routes(names));
        attempt([...commands, `route add ${LAST} dev lo`]);
        while (mirror.at(LAST).length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
        if (mirror.isCertain) {
          certain++;
          const seen = [...mirror.all.values()].flat();
          expect(sorted(seen)).toEqual(sorted(await routes(names)));
        }
        notifications.close();
        notifications = undefined;
      }),
      { numRuns: 60, seed: 1 },
    );
    expect(certain).toBeGreaterThan(15);
  });
});

/** Runs commands of which some fail. */
function attempt(commands: readonly string[]): void {
  spawnSync('ip', ['-n', netns.name, '-force', '-batch', '-'], { input: `${commands.join('\n')}\n` });
}

function follow(mirror: RouteMirror, message: Message, names: Map<number, string>): void {
  const notification = decodeNotification(message, (index) => names.get(index));
  if (!notification) return;
  if (isMalformed(notification)) throw new Error(notification.malformed);
  const { isGone } = notification;
  if (notification.object === 'route') {
    const { table, isCloned, route } = notification.value;
    if (table !== RT_TABLE_MAIN || isCloned) return;
    const isReplaced = (message.flags & NLM_F_REPLACE) !== 0;
    mirror.apply(route, isGone ? 'gone' : isReplaced ? 'replaced' : 'new');
  } else if (notification.object === 'link') {
    const { name, isUp } = notification.value.link;
    if (isGone || !isUp) mirror.loseDevice(name);
  } else if (notification.object === 'address' && isGone && notification.value.family === 4) mirror.doubt();
}

async function routes(names: ReadonlyMap<number, string>): Promise<KernelRoute[]> {
  const open = (bufferLength: number) =>
    new NetlinkSocket({ protocol: NETLINK_ROUTE, netns: netns.path, bufferLength });
  const read = ({ body }: Message) => {
    const record = decodeRoute(body, (index) => names.get(index));
    if (record && isMalformed(record)) throw new Error(record.malformed);
    return record?.table === RT_TABLE_MAIN && !record.isCloned ? record.route : undefined;
  };
  const both = await Promise.all(
    ([4, 6] as const).map((family) => dump(open, routeDump(family, { table: RT_TABLE_MAIN }), read)),
  );
  return both.flat();
}

function sorted(list: readonly KernelRoute[]): string[] {
  return list
    .map((route) => JSON.stringify({ ...route, hops: route.hops.map((hop) => JSON.stringify(hop)).sort() }))
    .sort();
}
