import { describe, expect, it } from 'vitest';
import { podMtu, tunnelMtu } from '../../../ipip/mtu.ts';
import { tunnelKinds } from '../../../model/tunnel.ts';

const settings = { mtu: { ipip: 0, vxlan4: 0, vxlan6: 0 }, vxlanPort: 4789, vxlanVni: 4096 };
const fixed = { ...settings, mtu: { ...settings.mtu, vxlan4: 1400 } };

describe('the MTU of a tunnel (F-052, F-067)', () => {
  it('is the uplink’s MTU minus the tunnel’s headers', () => {
    expect(tunnelKinds.map((kind) => tunnelMtu(kind, 1500, settings))).toEqual([1480, 1450, 1430]);
  });

  it('is the configured one when FelixConfiguration sets it', () => {
    expect(tunnelKinds.map((kind) => tunnelMtu(kind, 1500, fixed))).toEqual([1480, 1400, 1430]);
  });
});

describe('the MTU of new pods', () => {
  it('is the uplink’s when the node has no tunnel', () => {
    expect(podMtu([], 9000, settings)).toBe(9000);
  });

  it('is the smallest of all tunnels', () => {
    expect(podMtu(['ipip', 'vxlan4'], 9000, settings)).toBe(8950);
    expect(podMtu(['ipip', 'vxlan4'], 9000, fixed)).toBe(1400);
  });

  it('is never above the uplink’s, even with a larger configured one', () => {
    const jumbo = { ...settings, mtu: { ...settings.mtu, ipip: 9000 } };
    expect(podMtu(['ipip'], 1500, jumbo)).toBe(1500);
  });
});
