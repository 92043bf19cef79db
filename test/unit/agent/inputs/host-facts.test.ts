import { expect, it } from 'vitest';
import { hostFacts, unseenHost } from '../../../../agent/inputs/host-facts.ts';
import type { KernelState } from '../../../../kernel/port.ts';
import { DEFAULT_PROTOCOLS, NO_FORMER } from '../../../../model/route-protocols.ts';
import { parseRoute } from '../../../helpers/ip-json.ts';

const state = (rows: Parameters<typeof parseRoute>[0][], addresses: [string, string][]): KernelState => ({
  routes: rows.map((row) => parseRoute(row, row.gateway?.includes(':') ? 6 : 4)),
  links: new Map(),
  addresses: addresses.map(([device, cidr]) => ({ device, cidr })),
  neighbours: [],
});

const owned = { protocols: DEFAULT_PROTOCOLS, former: NO_FORMER, ranges: [] };

it('a host has the addresses of its interfaces, except the Service addresses that kube-proxy binds to one', () => {
  const addresses: [string, string][] = [
    ['eth0', '172.18.0.11/24'],
    ['lo', '127.0.0.1/8'],
    ['vxlan.cali', '10.244.1.1/32'],
    ['kube-ipvs0', '10.96.0.10/32'],
    ['eth0', '2001:db8::11/64'],
  ];
  const facts = hostFacts(state([], [...addresses, ['eth0', 'fe80::11/64']]), owned);
  expect(facts.addresses).toEqual(['10.244.1.1', '127.0.0.1', '172.18.0.11', '2001:db8::11', 'fe80::11']);
  expect(facts.networks).toEqual(['172.18.0.0/24', '2001:db8::/64']);
});

it('default routes of the host or another program count, whatever their metric; learned ones do not', () => {
  const own = { dst: 'default', gateway: '172.18.0.1', dev: 'eth0', protocol: '16', metric: 100 };
  const ra = { dst: 'default', gateway: 'fe80::1', dev: 'eth0', protocol: '9', metric: 1024 };
  expect(hostFacts(state([own, ra], []), owned)).toMatchObject({
    defaults: [4, 6],
    gateways: ['172.18.0.1', 'fe80::1'],
  });
  const learned = { dst: 'default', gateway: '172.18.0.2', dev: 'eth0', protocol: '162' };
  expect(hostFacts(state([learned], []), owned).defaults).toEqual([]);
  const unreachable = { dst: 'default', type: '7', protocol: '4' };
  expect(hostFacts(state([unreachable], []), owned).defaults).toEqual([]);
});

it('before the first read of the kernel, a host is assumed to have default routes', () => {
  const node = {
    name: 'n1',
    labels: {},
    addresses: { 4: { address: '172.18.0.11', length: 24 } },
    asNumber: undefined,
    clusterId: undefined,
    tunnels: {},
  };
  expect(unseenHost(node)).toEqual({
    addresses: ['172.18.0.11'],
    networks: ['172.18.0.0/24'],
    defaults: [4, 6],
  });
});
