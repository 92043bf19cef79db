/** The codec of netlink against the real kernel: objects that Cali only reads, next-hop objects and connections. */
import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dump } from '../../kernel/netlink/dump.ts';
import type { Malformed, Message } from '../../kernel/netlink/message.ts';
import {
  type Connection,
  connectionDump,
  decodeConnection,
  deleteConnection,
} from '../../kernel/netlink/nfnetlink/connection.ts';
import { Requester } from '../../kernel/netlink/request.ts';
import { RTM } from '../../kernel/netlink/rtnetlink/constants.ts';
import { decodeRoute } from '../../kernel/netlink/rtnetlink/decode-route.ts';
import { encodeRoute } from '../../kernel/netlink/rtnetlink/encode-route.ts';
import { decodeNextHop, encodeNextHop, type NextHop } from '../../kernel/netlink/rtnetlink/next-hop.ts';
import { nextHopDump, routeDump, routeQuery, ruleDump } from '../../kernel/netlink/rtnetlink/requests.ts';
import { decodeRule } from '../../kernel/netlink/rtnetlink/rule.ts';
import { NETLINK_ROUTE, NetlinkSocket } from '../../kernel/netlink/socket.ts';
import type { WriteRequest } from '../../kernel/netlink/write-request.ts';
import { hasProgram } from '../helpers/lab.ts';
import { must } from '../helpers/netlink.ts';
import { NetworkNamespace } from '../helpers/network-namespace.ts';

const NETLINK_NETFILTER = 12;

let netns: NetworkNamespace;
const sockets: NetlinkSocket[] = [];
beforeEach(() => {
  netns = new NetworkNamespace();
  netns.batch([
    'link add name eth0 index 3 type veth peer name peer0',
    'link set eth0 up',
    'link set peer0 up',
    'address add 10.1.0.1/24 dev eth0',
    'address add fd01::1/64 dev eth0 nodad',
  ]);
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.close();
  netns.remove();
});

describe('policy rules', () => {
  it('Rules are read as ip -j rule shows them.', async () => {
    netns.batch([
      'rule add from 10.5.0.0/16 fwmark 0x10/0xff lookup 300 pref 100',
      'rule add not to 10.6.0.0/16 iif eth0 unreachable pref 200',
    ]);
    netns.ip('-6 rule add oif eth0 to fd05::/48 lookup main pref 300');
    for (const family of [4, 6] as const) {
      const rules = await read(ruleDump(family), ({ body }) => decodeRule(body));
      expect(
        rules.map((rule) => ({
          priority: rule.priority,
          source: rule.source ?? 'all',
          destination: rule.destination,
          table: rule.table,
          mark: rule.mark,
          iif: rule.inputDevice,
          oif: rule.outputDevice,
          isInverted: rule.isInverted,
        })),
      ).toEqual(ipJson<RuleJson>(`-${family} rule`).map(ruleOf));
    }
  });
});

describe('next-hop objects', () => {
  const hop = (id: number, gateway: string): NextHop => ({
    id,
    protocol: 161,
    target: { type: 'hop', gateway, device: 'eth0' },
  });
  const group: NextHop = {
    id: 7,
    protocol: 161,
    target: {
      type: 'group',
      members: [
        { id: 5, weight: 1 },
        { id: 6, weight: 3 },
      ],
    },
  };
  const blackhole: NextHop = { id: 8, protocol: 161, target: { type: 'blackhole' } };
  const all = [hop(5, '10.1.0.2'), hop(6, '10.1.0.3'), group, blackhole, hop(9, 'fd01::2')];

  it('Objects that we add are read again, and ip shows them.', async () => {
    expect(await apply(all.map((one) => nextHop('add', one)))).toEqual([]);
    expect(await read(nextHopDump(), ({ body }) => decodeNextHop(body, nameOf))).toEqual(all);
    expect(
      ipJson('nexthop').map(({ id, gateway, dev, group: members }) => [id, gateway, dev, members]),
    ).toEqual([
      [5, '10.1.0.2', 'eth0', undefined],
      [6, '10.1.0.3', 'eth0', undefined],
      [7, undefined, undefined, [{ id: 5 }, { id: 6, weight: 3 }]],
      [8, undefined, undefined, undefined],
      [9, 'fd01::2', 'eth0', undefined],
    ]);
    expect(await apply(all.map((one) => nextHop('del', one)).reverse())).toEqual([]);
    expect(await read(nextHopDump(), ({ body }) => decodeNextHop(body, nameOf))).toEqual([]);
  });

  it('Routes share an object: its replacement moves all of them in one message.', async () => {
    await apply(all.map((one) => nextHop('add', one)));
    const destinations = ['10.9.1.0/24', '10.9.2.0/24'];
    expect(await apply(destinations.map((destination) => routeThrough(destination, 5)))).toEqual([]);
    expect(await apply([nextHop('replace', hop(5, '10.1.0.77'))])).toEqual([]);
    const routes = await read(routeDump(4, { table: 254, protocol: 161 }), ({ body }) =>
      decodeRoute(body, nameOf),
    );
    expect(routes.map(({ nextHopId, route }) => [nextHopId, route.destination, route.hops])).toEqual(
      destinations.map((destination) => [5, destination, [{ gateway: '10.1.0.77', device: 'eth0' }]]),
    );
  });

  it('A route through a group has the next hops of its members.', async () => {
    await apply([...all.map((one) => nextHop('add', one)), routeThrough('10.9.0.0/16', 7)]);
    const [found] = await read(routeDump(4, { table: 254, protocol: 161 }), ({ body }) =>
      decodeRoute(body, nameOf),
    );
    expect(found?.route.hops).toEqual([
      { gateway: '10.1.0.2', device: 'eth0' },
      { gateway: '10.1.0.3', device: 'eth0' },
    ]);
  });
});

describe('routes', () => {
  it('The kernel applies the filters of a dump: table and protocol.', async () => {
    netns.batch([
      'route add blackhole 10.9.0.0/26 proto 161',
      'route add blackhole 10.9.1.0/26 proto 162',
      'route add blackhole 10.9.2.0/26 proto 161 table 300',
      'route add blackhole fd09::/64 proto 161',
    ]);
    const destinations = async (request: WriteRequest) =>
      (await read(request, ({ body }) => decodeRoute(body, nameOf))).map(({ route }) => route.destination);
    expect(await destinations(routeDump(4, { table: 254, protocol: 161 }))).toEqual(['10.9.0.0/26']);
    expect(await destinations(routeDump(4, { table: 300 }))).toEqual(['10.9.2.0/26']);
    expect(await destinations(routeDump(6, { table: 254, protocol: 161 }))).toEqual(['fd09::/64']);
  });

  it.each(['10.1.0.9', '192.0.2.1', 'fd01::9'])(
    'The route to %s is the one that ip route get shows.',
    async (address) => {
      netns.batch(['route add default via 10.1.0.254']);
      const answer = await new Requester(open(NETLINK_ROUTE)).query(routeQuery(address), ({ type, body }) => {
        expect(type).toBe(RTM.NEWROUTE);
        return must(decodeRoute(body, nameOf) ?? {});
      });
      const [shown] = ipJson(`route get ${address}`);
      expect(answer).toMatchObject({
        route: {
          source: shown?.['prefsrc'],
          hops: [{ gateway: shown?.['gateway'], device: shown?.['dev'] }],
        },
      });
    },
  );
});

describe.skipIf(!hasProgram('conntrack'))('tracked connections (skipped without conntrack)', () => {
  beforeEach(() => {
    for (const args of [
      '-p tcp -s 10.0.0.1 -d 10.0.0.2 --sport 1000 --dport 80 --state ESTABLISHED -m 7',
      '-p udp -s 10.0.0.3 -d 10.96.0.10 --sport 1001 --dport 53 -r 10.0.0.1 -q 10.0.0.3 --reply-port-src 53 --reply-port-dst 1001',
      '-p icmp -s 10.0.0.1 -d 10.0.0.2 --icmp-type 8 --icmp-code 0 --icmp-id 77',
      '-p udp -s 10.0.0.5 -d 10.0.0.6 --sport 1001 --dport 53 --zone 9',
      '-p tcp -s fd00::1 -d fd00::2 --sport 1000 --dport 80 --state ESTABLISHED -q fe80::1 -r fd00::2 --reply-port-src 80 --reply-port-dst 2000',
      '-p icmpv6 -s fd00::1 -d fd00::2 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 78',
    ])
      conntrack(`-I ${args} --timeout 600`);
  });

  it('Every connection that conntrack lists is read, with addresses and ports of both directions.', async () => {
    for (const family of [4, 6] as const) {
      const found = await readConnections(connectionDump(family));
      expect(found.map(lineOf).sort()).toEqual(conntrackLines(family));
    }
  });

  it('Each connection can be deleted alone, in its zone and for every protocol.', async () => {
    for (const family of [4, 6] as const) {
      let left = await readConnections(connectionDump(family));
      for (const connection of left) {
        expect(await apply([deleteConnection(connection)], NETLINK_NETFILTER)).toEqual([]);
        const now = await readConnections(connectionDump(family));
        expect(now.map(({ id }) => id)).not.toContain(connection.id);
        expect(now).toHaveLength(left.length - 1);
        left = now;
      }
    }
  });

  it('A connection that ended meanwhile is reported as such, and a later one with the same tuple stays.', async () => {
    const [connection] = await readConnections(connectionDump(4));
    const later = { ...connection!, id: (connection!.id ?? 0) ^ 1 };
    expect(await apply([deleteConnection(later)], NETLINK_NETFILTER)).toMatchObject([{ code: 'ENOENT' }]);
    expect(await readConnections(connectionDump(4))).toHaveLength(4);
  });
});

function open(protocol: number): NetlinkSocket {
  const socket = new NetlinkSocket({ protocol, netns: netns.path });
  sockets.push(socket);
  return socket;
}

function read<T extends object>(
  request: WriteRequest,
  decode: (message: Message) => T | Malformed | undefined,
  protocol = NETLINK_ROUTE,
): Promise<T[]> {
  return dump(
    () => open(protocol),
    request,
    (message) => {
      const value = decode(message);
      return value && must(value);
    },
  );
}

function readConnections(request: WriteRequest): Promise<Connection[]> {
  return read(request, decodeConnection, NETLINK_NETFILTER);
}

function apply(requests: readonly WriteRequest[], protocol = NETLINK_ROUTE) {
  return new Requester(open(protocol)).run(requests);
}

function nameOf(index: number): string | undefined {
  return index === 3 ? 'eth0' : undefined;
}

function deviceIndex(name: string): number | undefined {
  return name === 'eth0' ? 3 : undefined;
}

function nextHop(verb: 'add' | 'replace' | 'del', value: NextHop): WriteRequest {
  return (writer, sequence) => encodeNextHop(writer, verb, value, sequence, deviceIndex);
}

function routeThrough(destination: string, nextHopId: number): WriteRequest {
  const route = { object: 'route', verb: 'add', type: 'unicast', protocol: 161, hops: [] } as const;
  return (writer, sequence) =>
    encodeRoute(writer, { ...route, destination, nextHopId }, sequence, deviceIndex);
}

function ipJson<T = Record<string, unknown>>(args: string): T[] {
  const text = execFileSync('ip', ['-n', netns.name, '-N', '-j', ...args.split(' ')], { encoding: 'utf8' });
  return JSON.parse(text || '[]') as T[];
}

interface RuleJson {
  priority: number;
  not?: null;
  src: string;
  srclen?: number;
  dst?: string;
  dstlen?: number;
  table?: string;
  fwmark?: string;
  iif?: string;
  oif?: string;
}

function ruleOf({ priority, not, src, srclen, dst, dstlen, table, fwmark, iif, oif }: RuleJson) {
  return {
    priority,
    source: srclen === undefined ? src : `${src}/${srclen}`,
    destination: dst === undefined ? undefined : `${dst}/${dstlen}`,
    table: table === undefined ? undefined : Number(table),
    mark: fwmark === undefined ? undefined : Number(fwmark),
    iif,
    oif,
    isInverted: not === null,
  };
}

function conntrack(args: string): string {
  return execFileSync('ip', ['netns', 'exec', netns.name, 'conntrack', ...args.split(' ')], {
    encoding: 'utf8',
    stdio: 'pipe',
  });
}

/** Returns what `lineOf` makes of a connection, from the lines of conntrack. */
function conntrackLines(family: 4 | 6): string[] {
  return conntrack(`-L -f ipv${family} -o id`)
    .trim()
    .split('\n')
    .map((line) =>
      [...line.matchAll(/\b(src|dst|sport|dport|type|code|id|mark|zone)=(\S+)/g)]
        .map(([, key, value]) => `${key}=${value}`)
        .join(' '),
    )
    .sort();
}

function lineOf({ original, reply, mark, zone, id }: Connection): string {
  const direction = ({ source, destination, ports, icmp }: Connection['original']) => [
    `src=${source} dst=${destination}`,
    ...(ports ? [`sport=${ports.source} dport=${ports.destination}`] : []),
    ...(icmp ? [`type=${icmp.type} code=${icmp.code} id=${icmp.id}`] : []),
  ];
  return [
    ...direction(original),
    ...direction(reply),
    `mark=${mark}`,
    ...(zone === undefined ? [] : [`zone=${zone}`]),
    `id=${id}`,
  ].join(' ');
}
