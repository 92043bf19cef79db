import { describe, expect, it } from 'vitest';
import { faultsOf, missingOf } from '../../../felix/dataplane/faults.ts';
import type { ChangeError, KernelChange, LinkAddition } from '../../../kernel/change.ts';

const error = (change: KernelChange, code: string): ChangeError => ({ change, code, message: code });
const addition: LinkAddition = { object: 'link', verb: 'add', name: 'tunl0', kind: { type: 'ipip' } };
const neighbour = (device: string): KernelChange => ({
  ...{ object: 'neighbour', verb: 'replace', address: '10.0.0.1', device, mac: '02:00:00:00:00:01' },
});
const route = (device: string): KernelChange => ({
  ...{ object: 'route', verb: 'add', destination: '10.0.0.0/26', type: 'unicast', protocol: 161 },
  hops: [{ gateway: '10.0.0.2', device }],
});

describe('an error of a change', () => {
  it.each([
    ['is a fault when the kernel refuses a route', route('eth0'), 'EINVAL', true],
    ['is a fault when another program has the route', route('eth0'), 'EEXIST', true],
    ['is not a fault when the interface is gone', neighbour('cali1'), 'ENODEV', false],
    ['is not a fault when the route is gone', route('eth0'), 'ESRCH', false],
    ['is not a fault when the module has created tunl0', addition, 'EEXIST', false],
    ['is not the fault of a route through an impossible tunnel', route('vxlan.cali'), 'EINVAL', false],
    ['is a fault of a route through another tunnel', route('tunl0'), 'EINVAL', true],
  ])('%s', (_, change, code, expected) => {
    const isUsable = (device: string) => device !== 'vxlan.cali';
    expect(faultsOf(isUsable)([error(change, code)])).toHaveLength(expected ? 1 : 0);
  });
});

it('a tunnel is missing when the kernel refuses its device, unless the device exists', () => {
  const wanted = [{ kind: 'ipip', address: undefined, mtu: 1480 } as const];
  expect(missingOf(wanted, [error(addition, 'EOPNOTSUPP')])).toEqual({ ipip: 'EOPNOTSUPP' });
  expect(missingOf(wanted, [error(addition, 'EEXIST'), error(route('tunl0'), 'EINVAL')])).toEqual({});
});
