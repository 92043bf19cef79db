import { describe, expect, it } from 'vitest';
import { assignRequest, familiesOf } from '../../../cni/assign-request.ts';
import type { Attachment } from '../../../cni/attachment.ts';
import { readAnnotations } from '../../../cni/pod-annotations.ts';
import { parseNetwork } from '../../../cni/types.ts';

const network = (ipam?: object) =>
  parseNetwork(JSON.stringify({ name: 'net', type: 'cali', ...(ipam ? { ipam } : {}) }));
const none = readAnnotations(undefined, undefined);
const attachment = (ipam?: object): Attachment => ({
  containerId: 'c1',
  interfaceName: 'eth0',
  netns: '/run/netns/c1',
  network: network(ipam),
  pod: { namespace: 'shop', name: 'web' },
});
const now = new Date('2026-01-02T03:04:05Z');

describe('the families of a pod’s addresses', () => {
  it('are those of the node unless the network configuration says otherwise', () => {
    expect(familiesOf(network(), [4])).toEqual([4]);
    expect(familiesOf(network(), [4, 6])).toEqual([4, 6]);
  });

  it('follow the network configuration for each family that it names, as boolean or as Calico’s text', () => {
    expect(familiesOf(network({ assign_ipv6: 'true' }), [4])).toEqual([4, 6]);
    expect(familiesOf(network({ assign_ipv4: false, assign_ipv6: true }), [4])).toEqual([6]);
    expect(familiesOf(network({ assign_ipv4: 'false' }), [4, 6])).toEqual([6]);
  });
});

describe('the request to IPAM', () => {
  it('names the pod, and has the handle of the network and the container', () => {
    const ask = { annotations: none, namespaceLabels: { team: 'a' } };
    expect(assignRequest(attachment(), ask, { node: 'n1', families: [4], now })).toEqual({
      handleId: 'net.c1',
      attributes: { node: 'n1', timestamp: '2026-01-02T03:04:05.000Z', namespace: 'shop', pod: 'web' },
      families: [4],
      namespaceLabels: { team: 'a' },
      pools: { 4: [], 6: [] },
    });
  });

  it('names the container when there is no pod', () => {
    const alone = { ...attachment(), pod: undefined };
    const { attributes } = assignRequest(
      alone,
      { annotations: none, namespaceLabels: {} },
      { node: 'n1', families: [4], now },
    );
    expect(attributes).toMatchObject({ container: 'c1' });
    expect(attributes).not.toHaveProperty('pod');
  });

  it('prefers the annotations of the pod over the network configuration', () => {
    const asked = {
      ...none,
      families: [6] as const,
      addresses: ['fd00::5'],
      pools: { 4: ['mine'], 6: undefined },
    };
    const request = assignRequest(
      attachment({ ipv4_pools: ['configured4'], ipv6_pools: ['configured6'] }),
      { annotations: asked, namespaceLabels: {} },
      { node: 'n1', families: [4], now },
    );
    expect(request).toMatchObject({
      families: [6],
      addresses: ['fd00::5'],
      pools: { 4: ['mine'], 6: ['configured6'] },
    });
  });
});
