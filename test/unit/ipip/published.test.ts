import { describe, expect, it } from 'vitest';
import { nodeAnnotations } from '../../../datastore/schema/core.ts';
import { publishedAddress, tunnelAnnotations } from '../../../ipip/published.ts';
import { vtepMac } from '../../../model/tunnel.ts';
import { annotatedNode } from '../../helpers/objects.ts';

const { ipv4IPIPTunnelAddr: IPIP, ipv4VXLANTunnelAddr: VXLAN, vxlanTunnelMACAddr: MAC } = nodeAnnotations;

describe('the address of a tunnel on the Node', () => {
  it('is absent without its annotation', () => {
    expect(publishedAddress(annotatedNode('n1', {}), 'ipip')).toBeUndefined();
    expect(
      publishedAddress(annotatedNode('n1', { IPv4IPIPTunnelAddr: '10.1.0.1' }), 'vxlan4'),
    ).toBeUndefined();
  });

  it('is that of the annotation', () => {
    expect(publishedAddress(annotatedNode('n1', { IPv4IPIPTunnelAddr: '10.1.0.1' }), 'ipip')).toBe(
      '10.1.0.1',
    );
    const mac = vtepMac('n1', 4);
    const node = annotatedNode('n1', { IPv4VXLANTunnelAddr: '10.2.0.1', VXLANTunnelMACAddr: mac });
    expect(publishedAddress(node, 'vxlan4')).toBe('10.2.0.1');
  });

  it('does not equal the address when the MAC address is another than the device’s', () => {
    const mac = vtepMac('n2', 4);
    const node = annotatedNode('n1', { IPv4VXLANTunnelAddr: '10.2.0.1', VXLANTunnelMACAddr: mac });
    expect(publishedAddress(node, 'vxlan4')).toBe(`10.2.0.1 with MAC address ${mac}`);
  });
});

describe('the annotations of a tunnel', () => {
  it('publish the address, for VXLAN with the MAC address of the device', () => {
    expect(tunnelAnnotations('n1', 'ipip', '10.1.0.1')).toEqual({ [IPIP]: '10.1.0.1' });
    expect(tunnelAnnotations('n1', 'vxlan4', '10.2.0.1')).toEqual({
      [VXLAN]: '10.2.0.1',
      [MAC]: vtepMac('n1', 4),
    });
  });

  it('are removed together', () => {
    expect(tunnelAnnotations('n1', 'vxlan4', undefined)).toEqual({ [VXLAN]: null, [MAC]: null });
  });
});
