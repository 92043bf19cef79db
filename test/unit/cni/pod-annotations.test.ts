import { describe, expect, it } from 'vitest';
import { readAnnotations } from '../../../cni/pod-annotations.ts';
import { CniError } from '../../../cni/types.ts';
import { namespaceKind, podKind } from '../../../datastore/schema/core.ts';
import { isPlain } from '../../../lib/plain-text.ts';

const prefix = 'cni.projectcalico.org/';
const annotations = (of: Record<string, string>) =>
  Object.fromEntries(Object.entries(of).map(([key, value]) => [`${prefix}${key}`, value]));
const pod = (of: Record<string, string>) =>
  podKind.schema.parse({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'shop', annotations: annotations(of) },
  });
const namespace = (of: Record<string, string>) =>
  namespaceKind.schema.parse({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'shop', annotations: annotations(of) },
  });
const refusal = (of: Record<string, string>, ofNamespace: Record<string, string> = {}) => {
  try {
    return readAnnotations(pod(of), namespace(ofNamespace));
  } catch (error) {
    expect(error).toBeInstanceOf(CniError);
    expect(isPlain((error as CniError).message)).toBe(true);
    expect((error as CniError).message.length).toBeLessThan(1000);
    return (error as CniError).message;
  }
};

describe('annotations of pods and namespaces', () => {
  it('request one address per family, in canonical form', () => {
    expect(readAnnotations(pod({ ipAddrs: '["10.0.0.5", "FD00:10:244::3:D38A:1D10"]' }), undefined)).toEqual({
      pools: {},
      addresses: ['10.0.0.5', 'fd00:10:244::3:d38a:1d10'],
    });
    expect(readAnnotations(pod({ ipAddrs: '[]' }), undefined).addresses).toBeUndefined();
    expect(readAnnotations(undefined, undefined).addresses).toBeUndefined();
  });

  it('add source networks that a pod may use, in canonical form', () => {
    const asked = readAnnotations(
      pod({ allowedSourcePrefixes: '["10.7.9.9/16", "FD07::/64", "10.7.0.0/16"]' }),
      undefined,
    );
    expect(asked.allowedSourcePrefixes).toEqual(['10.7.0.0/16', 'fd07::/64']);
    expect(readAnnotations(pod({}), undefined).allowedSourcePrefixes).toBeUndefined();
    expect(refusal({ allowedSourcePrefixes: '["10.7.0.0/33"]' })).toMatch(
      /^pod shop\/web: annotation cni.projectcalico.org\/allowedSourcePrefixes is 10\.7\.0\.0\/33: it must be a JSON list of networks/,
    );
    expect(refusal({ allowedSourcePrefixes: '["10.7.0.0/16 . flush ruleset"]' })).toMatch(
      /JSON list of networks/,
    );
  });

  it('request pools, and the pod’s annotation overrides its namespace’s', () => {
    const asked = readAnnotations(
      pod({ ipv4pools: '["a"]' }),
      namespace({ ipv4pools: '["b"]', ipv6pools: '["c"]' }),
    );
    expect(asked.pools).toEqual({ 4: ['a'], 6: ['c'] });
  });

  it.each([
    '["10.0.0.5","10.0.0.6"]',
    '["fd00::1","fd00::1"]',
    '["10.0.0.5/32"]',
    '["10.0.0.5\\nnetns add x"]',
    '["fe80::1%eth0"]',
    '[5]',
    '{"0":"10.0.0.5"}',
    'null',
    '',
    'not JSON',
    `[${'['.repeat(10_000)}`,
    JSON.stringify(Array.from({ length: 40 }, (_, i) => `10.0.0.${i}`)),
    `["${'1'.repeat(1 << 20)}"]`,
  ])('with ipAddrs %.60j are refused, and pod and annotation are named', (text) => {
    expect(refusal({ ipAddrs: text })).toMatch(
      /^pod shop\/web: annotation cni\.projectcalico\.org\/ipAddrs is .*: it must be a JSON list/,
    );
  });

  it('with 10,000 pools, or without a list, are refused, and the annotated object is named', () => {
    const many = JSON.stringify(Array(10_000).fill('p'));
    expect(refusal({ ipv4pools: many })).toMatch(/^pod shop\/web: annotation .*ipv4pools/);
    expect(refusal({}, { ipv6pools: many })).toMatch(/^namespace shop: annotation .*ipv6pools/);
    expect(refusal({}, { ipv6pools: '"p"' })).toMatch(/^namespace shop: annotation .*ipv6pools/);
  });

  it('request families, and the pod’s annotation overrides its namespace’s', () => {
    expect(
      readAnnotations(pod({ ipFamilies: '["IPv6"]' }), namespace({ ipFamilies: '["IPv4"]' })).families,
    ).toEqual([6]);
    expect(readAnnotations(pod({}), namespace({ ipFamilies: '["IPv6","IPv4"]' })).families).toEqual([4, 6]);
    expect(readAnnotations(pod({ ipFamilies: '[]' }), undefined).families).toBeUndefined();
    expect(refusal({}, { ipFamilies: '["constructor"]' })).toMatch(
      /it must be a JSON list with IPv4, IPv6 or both/,
    );
    const named = { metadata: { ...pod({}).metadata, annotations: { constructor: 'x', toString: 'y' } } };
    expect(readAnnotations({ ...pod({}), ...named }, undefined).families).toBeUndefined();
    expect(refusal({}, { ipFamilies: '["ipv4"]' })).toBe(
      'namespace shop: annotation cni.projectcalico.org/ipFamilies is ipv4: it must be a JSON list with IPv4, IPv6 or both',
    );
  });

  it('request a MAC address, in canonical form', () => {
    expect(readAnnotations(pod({ hwAddr: '0A-1B-2C-3D-4E-5F' }), undefined).mac).toBe('0a:1b:2c:3d:4e:5f');
    expect(readAnnotations(pod({}), undefined).mac).toBeUndefined();
    for (const wrong of ['', '01:00:5e:00:00:01', '0a:1b:2c:3d:4e', '0a:1b:2c:3d:4e:5f; reboot'])
      expect(refusal({ hwAddr: wrong })).toMatch(
        /^pod shop\/web: annotation cni\.projectcalico\.org\/hwAddr is .*: it must be a unicast MAC address/,
      );
  });

  it.each([
    'cni.projectcalico.org/floatingIPs',
    'cni.projectcalico.org/ipAddrsNoIpam',
    'qos.projectcalico.org/ingressBandwidth',
    'qos.projectcalico.org/egressMaxConnections',
    'qos.projectcalico.org/dscp',
  ])('with %s request something that Cali does not support, so the pod is refused with the remedy', (key) => {
    const web = pod({});
    web.metadata.annotations = { [key]: '["10.0.0.1"]' };
    expect(() => readAnnotations(web, undefined)).toThrow(
      new RegExp(`^pod shop/web: annotation ${key.replaceAll('.', '\\.')}: Cali .*: (remove|use) `),
    );
    web.metadata.annotations = { [key]: '' };
    expect(readAnnotations(web, undefined).addresses).toBeUndefined();
  });
});
