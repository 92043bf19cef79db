import { describe, expect, it } from 'vitest';
import type { Tunnel, TunnelDevice } from '../../../ipip/device-plan.ts';
import { isOffloadBroken, ownTunnels } from '../../../ipip/devices.ts';
import { vtepMac } from '../../../model/tunnel.ts';

const vxlan: Tunnel = {
  kind: 'vxlan4',
  address: '10.2.0.1',
  mtu: 1450,
  vxlan: { vni: 4096, port: 4789, local: '10.0.0.1', mac: '02:00:00:00:00:01', remotes: [] },
};
const device = (name: string, more: Partial<TunnelDevice> = {}): [string, TunnelDevice] => [
  name,
  {
    name,
    isUp: true,
    mtu: 1450,
    mac: '02:00:00:00:00:01',
    addresses: ['10.2.0.1/32'],
    vxlan: { vni: 4096, port: 4789, local: '10.0.0.1' },
    neighbours: new Map(),
    forwarding: new Map(),
    ...more,
  },
];

describe('a device that has one of our names', () => {
  const ours = device('vxlan.cali', { mac: vtepMac('n1', 4) })[1];
  it('is owned by the MAC that follows from the node’s name, whatever its settings', () => {
    const other = { ...ours, vxlan: { vni: 9, port: 1, local: '10.0.0.9' } };
    expect(ownTunnels('n1', [vxlan], new Map([['vxlan.cali', other]])).foreign).toEqual({});
    expect(ownTunnels('n1', [], new Map([['vxlan.cali', other]])).present.size).toBe(1);
  });

  it('is owned by its wanted settings, whatever its MAC', () => {
    const changed = device('vxlan.cali', { mac: '02:00:00:00:00:07' });
    expect(ownTunnels('n1', [vxlan], new Map([changed])).wanted).toEqual([vxlan]);
  });

  it('is left alone and named when neither matches, or when it is not a VXLAN device', () => {
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
});

describe('checksum offload of VXLAN (F-053)', () => {
  it('is broken in kernels before 5.8', () => {
    expect(['4.19.0', '5.7.19', '5.8.0', '6.1.0-13-amd64'].map(isOffloadBroken)).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });
});
