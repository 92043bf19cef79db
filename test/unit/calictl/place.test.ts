import { describe, expect, it } from 'vitest';
import { checkFlags, namespaceOf } from '../../../calictl/place.ts';
import { workloadEndpointKind } from '../../../calictl/workload-endpoint.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';

describe('the namespace of a namespaced object', () => {
  it.each([
    { flags: {}, own: undefined, namespace: 'default' },
    { flags: {}, own: '', namespace: 'default' },
    { flags: { namespace: 'a' }, own: undefined, namespace: 'a' },
    { flags: {}, own: 'b', namespace: 'b' },
    { flags: { namespace: 'b' }, own: 'b', namespace: 'b' },
  ])('is $namespace with the flags $flags and metadata.namespace $own', ({ flags, own, namespace }) => {
    expect(namespaceOf(workloadEndpointKind, flags, own)).toBe(namespace);
  });

  it('is refused when the flag and the object name different ones', () => {
    expect(() => namespaceOf(workloadEndpointKind, { namespace: 'a' }, 'b')).toThrow(
      'metadata.namespace is b, but -n is a: omit one of them',
    );
  });
});

describe('a cluster-scoped object', () => {
  it('has no namespace', () => {
    expect(namespaceOf(ipPoolKind, {})).toBeUndefined();
    expect(namespaceOf(ipPoolKind, {}, '')).toBeUndefined();
  });

  it.each([
    [{ namespace: 'a' }, undefined, 'IPPool is not namespaced: omit -n'],
    [{ allNamespaces: true }, undefined, 'IPPool is not namespaced: omit -A'],
    [{}, 'a', 'IPPool is not namespaced: omit metadata.namespace (a)'],
  ])('with the flags %j and metadata.namespace %s is refused', (flags, own, sentence) => {
    expect(() => namespaceOf(ipPoolKind, flags, own)).toThrow(sentence);
  });
});

it('-n and -A contradict each other for every kind', () => {
  for (const kind of [ipPoolKind, workloadEndpointKind])
    expect(() => checkFlags(kind, { namespace: 'a', allNamespaces: true })).toThrow('contradict each other');
  expect(() => checkFlags(workloadEndpointKind, { allNamespaces: true })).not.toThrow();
});
