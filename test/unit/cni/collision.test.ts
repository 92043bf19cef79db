import { describe, expect, it } from 'vitest';
import { assertReplaceable } from '../../../cni/collision.ts';
import type { Endpoint } from '../../../model/endpoint.ts';

const former: Endpoint = {
  containerId: 'old',
  containerInterface: 'eth0',
  network: 'n',
  interfaceName: 'cali0123456789a',
  mac: '02:00:00:00:00:01',
  mtu: 1500,
  addresses: ['10.1.0.1'],
  netns: '/x',
  namespace: 'shop',
  pod: 'web',
};
const container: Endpoint = { ...former, containerId: 'alone' };
delete (container as { pod?: string }).pod;
delete (container as { namespace?: string }).namespace;

describe('an ADD for an interface name in use', () => {
  it('replaces the interface of a previous container of the same pod', () => {
    const pod = { namespace: 'shop', name: 'web' };
    expect(() => assertReplaceable(former, { containerId: 'new', interfaceName: 'eth0', pod })).not.toThrow();
  });

  it.each([
    ['a pod of the same name in another namespace', { namespace: 'bank', name: 'web' }],
    ['another pod', { namespace: 'shop', name: 'db' }],
    ['a container without a pod', undefined],
  ])('is refused for %s when the names collide', (_, pod) => {
    expect(() => assertReplaceable(former, { containerId: 'new', interfaceName: 'eth0', pod })).toThrow(
      'interface cali0123456789a belongs to pod shop/web (eth0): delete it, or give this pod another name',
    );
  });

  it('is refused for a second interface of the same container, which would replace the first', () => {
    const pod = { namespace: 'shop', name: 'web' };
    expect(() => assertReplaceable(former, { containerId: 'old', interfaceName: 'net1', pod })).toThrow(
      /belongs to pod shop\/web \(eth0\): a pod can have only one interface/,
    );
  });

  it('is refused for a container whose ID collides with another one’s', () => {
    const asked = { containerId: 'other', interfaceName: 'eth0', pod: undefined };
    expect(() => assertReplaceable(container, asked)).toThrow(/belongs to container alone/);
  });
});
