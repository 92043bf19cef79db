/** What the netlink codec reads of the kernel, compared with `ip -j` and `bridge -j`, for objects of every kind. */
import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { dump } from '../../kernel/netlink/dump.ts';
import { decodeNotification, type Notification } from '../../kernel/netlink/rtnetlink/notification.ts';
import {
  addressDump,
  forwardingDump,
  linkDump,
  neighbourDump,
  routeDump,
} from '../../kernel/netlink/rtnetlink/requests.ts';
import { NETLINK_ROUTE, NetlinkSocket } from '../../kernel/netlink/socket.ts';
import type { WriteRequest } from '../../kernel/netlink/write-request.ts';
import { forwardingByBridge, observeByIp, vxlansByIp } from '../helpers/ip-json.ts';
import { must } from '../helpers/netlink.ts';
import { NetworkNamespace } from '../helpers/network-namespace.ts';

const names: ReadonlyMap<number, string> = new Map([
  [1, 'lo'],
  [3, 'eth0'],
  [4, 'peer0'],
  [77, 'vxlan.cali'],
  [78, 'vxlan-v6.cali'],
  [79, 'br0'],
]);

let netns: NetworkNamespace;
beforeEach(() => {
  netns = new NetworkNamespace();
  netns.batch([
    'link add name eth0 index 3 type veth peer name peer0 index 4',
    'link set eth0 up',
    'link set peer0 up',
    'link add name vxlan.cali index 77 mtu 1450 type vxlan id 4096 dstport 4789 local 10.1.0.1 nolearning',
    'link add name vxlan-v6.cali index 78 mtu 1430 type vxlan id 4097 dstport 4790 local fd01::1 nolearning',
    'link set vxlan.cali up',
    'link add name br0 index 79 type bridge',
    'address add 10.1.0.1/24 dev eth0',
    'address add 10.1.0.2/24 dev eth0',
    'address add 10.3.0.1/32 peer 10.3.0.2 dev eth0',
    'address add 10.2.0.1/32 dev vxlan.cali scope link',
    'address add fd01::1/64 dev eth0 nodad',
    'address add fd01::5/64 dev eth0 nodad preferred_lft 0',
    'address add ::1.2.3.4/128 dev peer0 nodad',
    // The interface is down, so the address stays tentative.
    'address add fd07::1/64 dev br0',
    'nexthop add id 5 via 10.1.0.7 dev eth0 proto 161',
    'nexthop add id 6 via 10.1.0.6 dev eth0 onlink',
    'nexthop add id 7 group 5/6,3 proto 161',
    'route add default via 10.1.0.254',
    'route add 10.9.0.0/26 via 10.1.0.9 dev eth0 proto 161',
    'route add 10.9.0.1 dev eth0 scope link proto 161 metric 7 src 10.1.0.2',
    'route add blackhole 10.9.1.0/26 proto 161',
    'route add 10.9.2.0/24 via inet6 fd01::9 dev eth0 proto 186',
    'route add 10.9.3.0/24 proto 186 nexthop via 10.1.0.3 dev eth0 nexthop via 10.77.0.1 dev vxlan.cali onlink weight 3 nexthop via inet6 fd01::9 dev eth0',
    'route add 10.9.4.0/24 via 10.88.0.1 dev vxlan.cali onlink proto 161',
    'route add 10.9.5.0/24 nhid 5 proto 161',
    'route add 10.9.6.0/24 nhid 7 proto 161',
    'route add unreachable 10.9.8.0/24 proto 80 metric 5',
    'route add prohibit 10.9.9.0/24',
    'route add throw 10.9.10.0/24',
    'route add 10.7.0.0/16 via 10.1.0.9 table 300',
    'route add fd09::/64 via fd01::9 dev eth0 proto 161',
    'route add fd09:1::/64 proto 161 metric 9 nexthop via fd01::2 dev eth0 nexthop via fd01::3 dev eth0',
    'route add fd09:2::1/128 dev eth0 proto 161 src fd01::1',
    'route add ::5.6.7.0/120 dev eth0 proto 161',
    'route add blackhole fd08::/64 proto 161',
    'route add unreachable fd08:1::/64',
    'route add ::/0 via fe80::1 dev eth0 proto ra metric 100',
    'neigh add 10.1.0.9 lladdr 02:00:00:00:00:09 dev eth0 nud permanent',
    'neigh add fd01::9 lladdr 02:00:00:00:00:09 dev eth0 nud permanent',
    'neigh add 10.1.0.8 lladdr 02:00:00:00:00:08 dev eth0 nud stale',
  ]);
  const entry = 'fdb append 66:00:00:00:00:0a dev vxlan.cali dst 10.1.0.7 self permanent';
  execFileSync('bridge', ['-n', netns.name, ...entry.split(' ')]);
});
afterEach(() => netns.remove());

it.each([4, 6] as const)('IPv%i routes are those that ip -j shows.', async (family) => {
  const routes = (await read(routeDump(family, { table: 254 }))).flatMap((one) =>
    one.object === 'route' && !one.value.isCloned ? [one.value.route] : [],
  );
  expect(routes).toEqual(observeByIp(netns.name, [family]).routes);
  expect(routes.length).toBeGreaterThan(10);
});

it.each([4, 6] as const)('IPv%i addresses are those that ip -j shows.', async (family) => {
  const addresses = (await read(addressDump(family))).flatMap((one) =>
    one.object === 'address' && !one.value.address.cidr.startsWith('fe80:') ? [one.value.address] : [],
  );
  expect(addresses).toEqual(observeByIp(netns.name, [family]).addresses);
});

it.each([4, 6] as const)('Permanent IPv%i neighbours are those that ip -j shows.', async (family) => {
  const neighbours = (await read(neighbourDump(family))).flatMap((one) =>
    one.object === 'neighbour' && one.value.isPermanent
      ? [{ address: one.value.address, device: one.value.device, mac: one.value.mac }]
      : [],
  );
  expect(neighbours).toEqual(observeByIp(netns.name, [family]).neighbours);
});

it('Links are those that ip -j shows, with the driver of each.', async () => {
  const links = (await read(linkDump())).flatMap((one) => (one.object === 'link' ? [one.value] : []));
  expect(new Map(links.map(({ link }) => [link.name, link]))).toEqual(observeByIp(netns.name, [4]).links);
  expect(links.map(({ link, kind }) => [link.name, kind])).toEqual([
    ['lo', undefined],
    ['eth0', 'veth'],
    ['peer0', 'veth'],
    ['vxlan.cali', 'vxlan'],
    ['vxlan-v6.cali', 'vxlan'],
    ['br0', 'bridge'],
  ]);
});

it('VXLAN devices and their permanent forwarding entries are those that ip -j and bridge -j show.', async () => {
  const devices = (await read(linkDump('vxlan'))).flatMap((one) =>
    one.object === 'link' ? [[one.value.link.name, one.value.vxlan] as const] : [],
  );
  expect(new Map(devices)).toEqual(vxlansByIp(netns.name));
  const entries = (await read(forwardingDump(77))).flatMap((one) =>
    one.object === 'forwarding' && one.value.isPermanent ? [[one.value.mac, one.value.node] as const] : [],
  );
  expect(new Map(entries)).toEqual(forwardingByBridge(netns.name, 'vxlan.cali'));
  expect(entries).toHaveLength(1);
});

async function read(request: WriteRequest): Promise<Notification[]> {
  return dump(
    () => new NetlinkSocket({ protocol: NETLINK_ROUTE, netns: netns.path }),
    request,
    (message) => {
      const found = decodeNotification(message, (index) => names.get(index));
      return found && must(found);
    },
  );
}
