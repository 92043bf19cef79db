import { describe, expect, it } from 'vitest';
import { resultOf } from '../../../cni/result.ts';
import { endpoint } from '../../helpers/calc-input.ts';

describe('the result of ADD', () => {
  it('has both ends of the veth, and addresses on the end in the pod', () => {
    expect(resultOf(endpoint('cali1', '10.0.0.5', 'fd00::5'), '1.0.0')).toEqual({
      cniVersion: '1.0.0',
      interfaces: [
        { name: 'cali1', mac: 'ee:ee:ee:ee:ee:ee' },
        { name: 'eth0', mac: '02:00:00:00:00:01', sandbox: '/x' },
      ],
      ips: [
        { address: '10.0.0.5/32', interface: 1 },
        { address: 'fd00::5/128', interface: 1 },
      ],
      routes: [
        { dst: '0.0.0.0/0', gw: '169.254.1.1' },
        { dst: '::/0', gw: 'fe80::ecee:eeff:feee:eeee' },
      ],
      dns: {},
    });
  });

  it.each([
    ['0.3.1', '4'],
    ['0.4.0', '4'],
    ['1.0.0', undefined],
    ['1.1.0', undefined],
  ])('of version %s states the family of an address as %s', (version, family) => {
    const { ips } = resultOf(endpoint('cali1', '10.0.0.5'), version) as { ips: { version?: string }[] };
    expect(ips.map((one) => one.version)).toEqual([family]);
  });

  it('has a default route only for the families of the pod', () => {
    const routes = (...addresses: string[]) =>
      (resultOf(endpoint('cali1', ...addresses), '1.0.0') as { routes: { dst: string }[] }).routes;
    expect(routes('fd00::5').map(({ dst }) => dst)).toEqual(['::/0']);
    expect(routes('10.0.0.5', '10.0.0.6').map(({ dst }) => dst)).toEqual(['0.0.0.0/0']);
  });
});
