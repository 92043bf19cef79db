import { describe, expect, it } from 'vitest';
import { chooseEncapsulation, encapsulationOf, tunnelOf, wantedTunnels } from '../../../ipip/choice.ts';
import { mustCidr } from '../../../lib/cidr.ts';
import { ipPool } from '../../helpers/objects.ts';

const settings = { mtu: { ipip: 0, vxlan4: 0, vxlan6: 0 }, vxlanPort: 4789, vxlanVni: 4096 };

describe('the encapsulation of packets to a pod', () => {
  it.each<[object, string, string]>([
    [{}, '10.0.9.9', 'none'],
    [{ ipipMode: 'Always' }, '10.0.0.2', 'ipip'],
    [{ ipipMode: 'CrossSubnet' }, '10.0.0.2', 'none'],
    [{ ipipMode: 'CrossSubnet' }, '10.0.9.9', 'ipip'],
    [{ vxlanMode: 'Always' }, '10.0.0.2', 'vxlan'],
    [{ vxlanMode: 'CrossSubnet' }, '10.0.9.9', 'vxlan'],
  ])('with %j to next hop %s is %s', (modes, nextHop, expected) => {
    expect(chooseEncapsulation(ipPool('10.1.0.0/16', modes).spec, mustCidr('10.0.0.1/24'), nextHop)).toBe(
      expected,
    );
  });

  it('with CrossSubnet is the tunnel when the next hop is not an address', () => {
    const { spec } = ipPool('10.1.0.0/16', { ipipMode: 'CrossSubnet' });
    expect(chooseEncapsulation(spec, mustCidr('10.0.0.1/24'), 'router')).toBe('ipip');
  });
});

describe('the tunnel of a pool', () => {
  it.each<[string, object, string | undefined, string]>([
    ['10.1.0.0/16', {}, undefined, 'Never'],
    ['10.1.0.0/16', { ipipMode: 'CrossSubnet' }, 'ipip', 'CrossSubnet'],
    ['10.1.0.0/16', { vxlanMode: 'Always' }, 'vxlan4', 'Always'],
    ['fd00::/48', { vxlanMode: 'Always' }, 'vxlan6', 'Always'],
  ])('of %s with %j is %s', (cidr, modes, tunnel, mode) => {
    expect(tunnelOf(ipPool(cidr, modes))).toBe(tunnel);
    expect(encapsulationOf(ipPool(cidr, modes).spec).mode).toBe(mode);
  });
});

describe('wanted tunnels', () => {
  const pools = [
    ipPool('10.1.0.0/16', { ipipMode: 'CrossSubnet' }),
    ipPool('10.2.0.0/16', { vxlanMode: 'Always' }),
    ipPool('fd00::/48', { vxlanMode: 'Always' }),
    ipPool('10.3.0.0/16', {}),
  ];

  it('are those that the pools need in the node’s families', () => {
    expect(wantedTunnels(pools, [4, 6], settings)).toEqual(['ipip', 'vxlan4', 'vxlan6']);
    expect(wantedTunnels(pools, [4], settings)).toEqual(['ipip', 'vxlan4']);
    expect(wantedTunnels(pools.slice(3), [4, 6], settings)).toEqual([]);
  });

  it('include those of disabled pools, which can still have pods', () => {
    const disabled = ipPool('10.1.0.0/16', { ipipMode: 'Always', disabled: true });
    expect(wantedTunnels([disabled], [4], settings)).toEqual(['ipip']);
  });

  it('exclude those that FelixConfiguration disables', () => {
    expect(wantedTunnels(pools, [4, 6], { ...settings, vxlanEnabled: false })).toEqual(['ipip']);
    expect(wantedTunnels(pools, [4, 6], { ...settings, ipipEnabled: false })).toEqual(['vxlan4', 'vxlan6']);
  });
});
