import { describe, expect, it } from 'vitest';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { wantedTunnels } from '../../../ipip/choice.ts';
import { planTunnels, type Tunnel, type TunnelDevice } from '../../../ipip/device-plan.ts';
import { ownTunnels } from '../../../ipip/devices.ts';
import { podMtu, tunnelMtu } from '../../../ipip/mtu.ts';
import { vtepMac } from '../../../model/tunnel.ts';

const settings = { mtu: { ipip: 0, vxlan4: 0, vxlan6: 0 }, vxlanPort: 4789, vxlanVni: 4096 };
const pool = (cidr: string, spec: object) =>
  ipPoolKind.schema.parse({
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPPool',
    metadata: { name: 'p' },
    spec: { cidr, ...spec },
  });

describe('wanted tunnels', () => {
  const pools = [
    pool('10.1.0.0/16', { ipipMode: 'CrossSubnet' }),
    pool('10.2.0.0/16', { vxlanMode: 'Always' }),
    pool('fd00::/48', { vxlanMode: 'Always' }),
    pool('10.3.0.0/16', {}),
  ];

  it('are those that the pools need in the node’s families, unless FelixConfiguration disables them', () => {
    expect(wantedTunnels(pools, [4, 6], settings)).toEqual(['ipip', 'vxlan4', 'vxlan6']);
    expect(wantedTunnels(pools, [4], settings)).toEqual(['ipip', 'vxlan4']);
    expect(wantedTunnels(pools, [4, 6], { ...settings, vxlanEnabled: false })).toEqual(['ipip']);
    expect(wantedTunnels(pools.slice(3), [4, 6], settings)).toEqual([]);
  });

  it('leave the uplink’s MTU minus their headers, or the configured MTU (F-052, F-067)', () => {
    expect((['ipip', 'vxlan4', 'vxlan6'] as const).map((kind) => tunnelMtu(kind, 1500, settings))).toEqual([
      1480, 1450, 1430,
    ]);
    expect(podMtu([], 9000, settings)).toBe(9000);
    expect(podMtu(['ipip', 'vxlan4'], 9000, settings)).toBe(8950);
    const fixed = { ...settings, mtu: { ...settings.mtu, vxlan4: 1400 } };
    expect(podMtu(['ipip', 'vxlan4'], 9000, fixed)).toBe(1400);
  });

  it('have a MAC address per node that is unicast and locally administered', () => {
    const macs = ['n1', 'n2'].flatMap((node) => ([4, 6] as const).map((family) => vtepMac(node, family)));
    expect(new Set(macs).size).toBe(4);
    for (const mac of macs) expect(Number.parseInt(mac.slice(0, 2), 16) & 3).toBe(2);
    expect(vtepMac('n1', 4)).toBe(macs[0]);
  });
});

describe('the plan of ip and bridge commands for tunnel devices', () => {
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
  const none = { ip: [], bridge: [] };
  const plan = (wanted: Tunnel[], ...present: [string, TunnelDevice][]) =>
    planTunnels(wanted, new Map(present));

  it('creates missing devices', () => {
    expect(plan([ipip, vxlan])).toEqual({
      beforeRoutes: {
        ip: [
          'link add name tunl0 type ipip',
          'link set dev tunl0 mtu 1480',
          'link set dev tunl0 up',
          'address add 10.1.0.1/32 dev tunl0 scope link',
          'link add name vxlan.cali address 02:00:00:00:00:01 mtu 1450 type vxlan id 4096 dstport 4789 local 10.0.0.1 nolearning',
          'link set dev vxlan.cali up',
          'address add 10.2.0.1/32 dev vxlan.cali scope link',
          'neigh replace 10.2.9.0 lladdr 02:00:00:00:00:09 dev vxlan.cali nud permanent',
        ],
        bridge: ['fdb replace 02:00:00:00:00:09 dev vxlan.cali dst 10.0.9.9 self permanent'],
      },
      afterRoutes: none,
    });
  });

  it('keeps what is correct, repairs what differs, and recreates what cannot be repaired (F-065)', () => {
    expect(plan([vxlan], device('vxlan.cali'))).toEqual({ beforeRoutes: none, afterRoutes: none });
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
      beforeRoutes: {
        ip: [
          'link set dev vxlan.cali mtu 1450',
          'link set dev vxlan.cali address 02:00:00:00:00:01',
          'link set dev vxlan.cali up',
          'address add 10.2.0.1/32 dev vxlan.cali scope link',
          'neigh replace 10.2.9.0 lladdr 02:00:00:00:00:09 dev vxlan.cali nud permanent',
        ],
        bridge: ['fdb replace 02:00:00:00:00:09 dev vxlan.cali dst 10.0.9.9 self permanent'],
      },
      // Routes may still use them.
      afterRoutes: {
        ip: ['address del 10.2.0.7/32 dev vxlan.cali', 'neigh del 10.2.7.0 dev vxlan.cali'],
        bridge: ['fdb del 02:00:00:00:00:07 dev vxlan.cali dst 10.0.7.7 self'],
      },
    });
    const other = device('vxlan.cali', { vxlan: { vni: 1, port: 4789, local: '10.0.0.1' } });
    expect(plan([vxlan], other).beforeRoutes.ip.slice(0, 2)).toEqual([
      'link del dev vxlan.cali',
      expect.stringMatching(/^link add name vxlan.cali /),
    ]);
  });

  it('removes an unwanted VXLAN device, and the address of an unwanted tunl0 (F-054, F-069)', () => {
    expect(
      plan([], device('vxlan.cali'), device('tunl0', { addresses: ['10.1.0.1/32'] })).afterRoutes.ip,
    ).toEqual(['address del 10.1.0.1/32 dev tunl0', 'link del dev vxlan.cali']);
  });

  describe('with a device that has one of our names', () => {
    const ours = device('vxlan.cali', { mac: vtepMac('n1', 4) })[1];
    it('owns it by the MAC that follows from the node’s name, whatever its settings', () => {
      const other = { ...ours, vxlan: { vni: 9, port: 1, local: '10.0.0.9' } };
      expect(ownTunnels('n1', [vxlan], new Map([['vxlan.cali', other]])).foreign).toEqual({});
      expect(ownTunnels('n1', [], new Map([['vxlan.cali', other]])).present.size).toBe(1);
    });

    it('owns it by its wanted settings, whatever its MAC', () => {
      const changed = device('vxlan.cali', { mac: '02:00:00:00:00:07' });
      expect(ownTunnels('n1', [vxlan], new Map([changed])).wanted).toEqual([vxlan]);
    });

    it('leaves it alone and names it when neither matches, or when it is not a VXLAN device', () => {
      for (const one of [
        device('vxlan.cali', { mac: '02:00:00:00:00:07', vxlan: { vni: 9, port: 4789, local: '10.0.0.1' } }),
        device('vxlan.cali', { mac: '02:00:00:00:00:07', vxlan: undefined }),
      ]) {
        const { wanted, present, foreign } = ownTunnels('n1', [vxlan], new Map([one]));
        expect([wanted, present.size]).toEqual([[], 0]);
        expect(foreign).toEqual({
          vxlan4: 'interface vxlan.cali belongs to another program: rename or remove it',
        });
      }
    });

    it('keeps addresses that others added to tunl0', () => {
      const shared = device('tunl0', { addresses: ['10.1.0.1/32'], foreignAddresses: ['10.9.0.1/32'] });
      expect(plan([], shared).afterRoutes.ip).toEqual(['address del 10.1.0.1/32 dev tunl0']);
    });
  });
});
