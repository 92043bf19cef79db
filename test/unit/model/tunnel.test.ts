import { describe, expect, it } from 'vitest';
import { vtepMac } from '../../../model/tunnel.ts';

describe('the MAC address of a node’s VXLAN device', () => {
  it('is unicast and locally administered, differs per node and family, and is stable', () => {
    const macs = ['n1', 'n2'].flatMap((node) => ([4, 6] as const).map((family) => vtepMac(node, family)));
    expect(new Set(macs).size).toBe(4);
    for (const mac of macs) expect(Number.parseInt(mac.slice(0, 2), 16) & 3).toBe(2);
    expect(vtepMac('n1', 4)).toBe(macs[0]);
  });
});
