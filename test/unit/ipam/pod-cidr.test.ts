import { describe, expect, it } from 'vitest';
import { PodCidrIpam } from '../../../ipam/pod-cidr.ts';

const request = (handleId: string, more: object = {}) => ({
  handleId,
  attributes: {},
  families: [4 as const],
  namespaceLabels: {},
  ...more,
});
const ipamOf = (cidrs: string[], present: [string, string[]][] = []) =>
  new PodCidrIpam('n1', () => cidrs, present);

describe('IPAM with podCIDR', () => {
  it('assigns one address per family after the tunnel’s, and the same again to the same handle', async () => {
    const ipam = ipamOf(['10.244.1.0/24', 'fd00:1::/64']);
    expect(await ipam.assign(request('a', { families: [4, 6] }))).toEqual(['10.244.1.2', 'fd00:1::2']);
    expect(await ipam.assign(request('a', { families: [4, 6] }))).toEqual(['10.244.1.2', 'fd00:1::2']);
    expect(await ipam.assign(request('tunnel', { use: 'Tunnel' }))).toEqual(['10.244.1.1']);
    expect(ipam.held('a')).toEqual(['10.244.1.2', 'fd00:1::2']);
  });

  it('reuses a freed address last, and assigns every address but four at the ends of the range', async () => {
    const ipam = ipamOf(['10.244.1.0/29'], [['old', ['10.244.1.4']]]);
    expect(await ipam.assign(request('a'))).toEqual(['10.244.1.2']);
    expect(await ipam.releaseHandle('a')).toEqual(['10.244.1.2']);
    expect(await ipam.assign(request('b'))).toEqual(['10.244.1.3']);
    expect(await ipam.assign(request('c'))).toEqual(['10.244.1.5']);
    expect(await ipam.assign(request('d'))).toEqual(['10.244.1.6']);
    expect(await ipam.assign(request('e'))).toEqual(['10.244.1.2']);
    await expect(ipam.assign(request('f'))).rejects.toThrow(/no IPs available in podCIDR of node n1/);
    await ipam.releaseHandle('old');
    expect(await ipam.assign(request('f'))).toEqual(['10.244.1.4']);
  });

  it('assigns exactly the requested addresses, inside the range and only once', async () => {
    const ipam = ipamOf(['10.244.1.0/24']);
    expect(await ipam.assign(request('a', { addresses: ['10.244.1.77'] }))).toEqual(['10.244.1.77']);
    await expect(ipam.assign(request('b', { addresses: ['10.244.1.77'] }))).rejects.toThrow(/taken by a/);
    await expect(ipam.assign(request('b', { addresses: ['10.244.2.7'] }))).rejects.toThrow(
      /10\.244\.2\.7 is not in the podCIDR of node n1 \(10\.244\.1\.0\/24\)/,
    );
  });

  it('reports a missing podCIDR', async () => {
    await expect(ipamOf([]).assign(request('a'))).rejects.toThrow(/no IPv4 podCIDR: .*--allocate-node-cidrs/);
  });
});
