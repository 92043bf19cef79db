import { expect, it } from 'vitest';
import { ObservedHost } from '../../../../agent/inputs/observed-host.ts';
import type { KernelState } from '../../../../kernel/port.ts';
import { DEFAULT_PROTOCOLS, NO_FORMER } from '../../../../model/route-protocols.ts';
import { parseRoute } from '../../../helpers/ip-json.ts';

const numbers = { protocols: DEFAULT_PROTOCOLS, former: NO_FORMER };
const self = {
  name: 'n1',
  labels: {},
  addresses: { 4: { address: '172.18.0.11', length: 24 } },
  asNumber: undefined,
  clusterId: undefined,
  tunnels: {},
};
const kernel = (...cidrs: string[]): KernelState => ({
  routes: [parseRoute({ dst: '10.244.1.5', dev: 'cali1', protocol: '161' }, 4)],
  links: new Map(),
  addresses: cidrs.map((cidr) => ({ device: 'eth0', cidr })),
  neighbours: [],
});

it('before the first check, facts follow from the Node, and nothing is known without one', () => {
  const host = new ObservedHost();
  expect(host.facts(undefined)).toBeUndefined();
  expect(host.facts(self)?.addresses).toEqual(['172.18.0.11']);
  expect(host.interfaces).toBeUndefined();
});

it('a check replaces the facts, and only a difference counts as a change', () => {
  const host = new ObservedHost();
  expect(host.observe(kernel('172.18.0.12/24'), numbers)).toBe(true);
  expect(host.facts(self)?.addresses).toEqual(['172.18.0.12']);
  expect(host.observe(kernel('172.18.0.12/24'), numbers)).toBe(false);
  expect(host.observe(kernel('172.18.0.12/24', '172.18.0.13/24'), numbers)).toBe(true);
  expect(host.interfaces?.addresses).toHaveLength(2);
});

it('a check shows the interface of each route', () => {
  const host = new ObservedHost();
  host.observe(kernel(), numbers);
  expect(host.deviceOf('10.244.1.5/32')).toBe('cali1');
  expect(host.deviceOf('10.244.1.6/32')).toBeUndefined();
});
