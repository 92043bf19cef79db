import { describe, expect, it } from 'vitest';
import { planTunnels, type Tunnel, type TunnelDevice } from '../../../ipip/device-plan.ts';
import { renderChange } from '../../../kernel/change.ts';

describe('the plan for tunnel devices', () => {
  const remote = { address: '10.2.9.0', mac: '02:00:00:00:00:09', node: '10.0.9.9' };
  const vxlan: Tunnel = {
    kind: 'vxlan4',
    address: '10.2.0.1',
    mtu: 1450,
    vxlan: { vni: 4096, port: 4789, local: '10.0.0.1', mac: '02:00:00:00:00:01', remotes: [remote] },
  };
  const ipip: Tunnel = { kind: 'ipip', address: '10.1.0.1', mtu: 1480 };
  const device = (name: string, more: Partial<TunnelDevice> = {}): [string, TunnelDevice] => [
    name,
    {
      name,
      isUp: true,
      mtu: 1450,
      mac: '02:00:00:00:00:01',
      addresses: ['10.2.0.1/32'],
      vxlan: { vni: 4096, port: 4789, local: '10.0.0.1' },
      neighbours: new Map([['10.2.9.0', remote.mac]]),
      forwarding: new Map([[remote.mac, '10.0.9.9']]),
      ...more,
    },
  ];
  const plan = (wanted: Tunnel[], ...present: [string, TunnelDevice][]) => {
    const { beforeRoutes, afterRoutes } = planTunnels(wanted, new Map(present));
    return { beforeRoutes: beforeRoutes.map(renderChange), afterRoutes: afterRoutes.map(renderChange) };
  };

  it('creates missing devices', () => {
    expect(plan([ipip, vxlan])).toEqual({
      beforeRoutes: [
        'link add name tunl0 type ipip',
        'link set dev tunl0 mtu 1480',
        'link set dev tunl0 up',
        'address add 10.1.0.1/32 dev tunl0 scope link',
        'link add name vxlan.cali address 02:00:00:00:00:01 mtu 1450 type vxlan id 4096 dstport 4789 local 10.0.0.1 nolearning',
        'link set dev vxlan.cali up',
        'address add 10.2.0.1/32 dev vxlan.cali scope link',
        'neigh replace 10.2.9.0 lladdr 02:00:00:00:00:09 dev vxlan.cali nud permanent',
        'fdb replace 02:00:00:00:00:09 dev vxlan.cali dst 10.0.9.9 self permanent',
      ],
      afterRoutes: [],
    });
  });

  it('keeps what is correct, repairs what differs, and recreates what cannot be repaired (F-065)', () => {
    expect(plan([vxlan], device('vxlan.cali'))).toEqual({ beforeRoutes: [], afterRoutes: [] });
    const wrong = device('vxlan.cali', {
      isUp: false,
      mtu: 1400,
      mac: '02:00:00:00:00:07',
      addresses: ['10.2.0.7/32'],
      neighbours: new Map([['10.2.7.0', '02:00:00:00:00:07']]),
      forwarding: new Map([
        [remote.mac, '10.0.7.7'],
        ['02:00:00:00:00:07', '10.0.7.7'],
      ]),
    });
    expect(plan([vxlan], wrong)).toEqual({
      beforeRoutes: [
        'link set dev vxlan.cali mtu 1450',
        'link set dev vxlan.cali address 02:00:00:00:00:01',
        'link set dev vxlan.cali up',
        'address add 10.2.0.1/32 dev vxlan.cali scope link',
        'neigh replace 10.2.9.0 lladdr 02:00:00:00:00:09 dev vxlan.cali nud permanent',
        'fdb replace 02:00:00:00:00:09 dev vxlan.cali dst 10.0.9.9 self permanent',
      ],
      // Routes may still use them.
      afterRoutes: [
        'address del 10.2.0.7/32 dev vxlan.cali',
        'neigh del 10.2.7.0 dev vxlan.cali',
        'fdb del 02:00:00:00:00:07 dev vxlan.cali dst 10.0.7.7 self',
      ],
    });
    const other = device('vxlan.cali', { vxlan: { vni: 1, port: 4789, local: '10.0.0.1' } });
    expect(plan([vxlan], other).beforeRoutes.slice(0, 2)).toEqual([
      'link del dev vxlan.cali',
      expect.stringMatching(/^link add name vxlan.cali /),
    ]);
  });

  it('removes an unwanted VXLAN device, and the address of an unwanted tunl0 (F-054, F-069)', () => {
    expect(
      plan([], device('vxlan.cali'), device('tunl0', { addresses: ['10.1.0.1/32'] })).afterRoutes,
    ).toEqual(['address del 10.1.0.1/32 dev tunl0', 'link del dev vxlan.cali']);
  });

  it('keeps addresses that others added to tunl0', () => {
    const shared = device('tunl0', { addresses: ['10.1.0.1/32'], foreignAddresses: ['10.9.0.1/32'] });
    expect(plan([], shared).afterRoutes).toEqual(['address del 10.1.0.1/32 dev tunl0']);
  });
});
