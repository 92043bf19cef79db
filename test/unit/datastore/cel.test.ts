import { evaluate } from '@marcbachmann/cel-js';
import { describe, expect, it } from 'vitest';
import { findKind } from '../../../datastore/registry.ts';
import { celRules } from '../../../datastore/schema/cel-rules.ts';

interface Case {
  readonly kind: string;
  readonly name?: string;
  readonly spec: object;
  readonly old?: object;
}

/** Objects with one fault each that a CEL rule names, and good ones. */
const good: Case[] = [
  { kind: 'IPPool', spec: { cidr: '10.0.0.0/16' } },
  { kind: 'IPPool', spec: { cidr: '10.0.0.0/16', ipipMode: 'Always', vxlanMode: 'Never' } },
  { kind: 'IPPool', spec: { cidr: 'fd00::/48', vxlanMode: 'Always' } },
  {
    kind: 'IPPool',
    spec: { cidr: '10.0.0.0/16', blockSize: 26, natOutgoing: true },
    old: { cidr: '10.0.0.0/16', blockSize: 26 },
  },
  { kind: 'BGPPeer', spec: { peerIP: '10.0.0.1', asNumber: 64512 } },
  { kind: 'BGPPeer', spec: { nodeSelector: 'all()', peerSelector: "rr == 'true'" } },
  { kind: 'BGPPeer', spec: { localWorkloadSelector: 'all()', asNumber: 64512 } },
  { kind: 'BGPConfiguration', spec: { asNumber: 64512 } },
  { kind: 'BGPConfiguration', name: 'node.a', spec: { listenPort: 1790 } },
  { kind: 'IPAMConfiguration', spec: { strictAffinity: true, autoAllocateBlocks: false } },
  { kind: 'IPAMConfiguration', spec: {} },
];
const bad: Case[] = [
  { kind: 'IPPool', spec: { cidr: '10.0.0.0/16', ipipMode: 'Always', vxlanMode: 'CrossSubnet' } },
  { kind: 'IPPool', spec: { cidr: 'fd00::/48', ipipMode: 'Always' } },
  { kind: 'IPPool', spec: { cidr: '10.1.0.0/16' }, old: { cidr: '10.0.0.0/16' } },
  {
    kind: 'IPPool',
    spec: { cidr: '10.0.0.0/16', blockSize: 27 },
    old: { cidr: '10.0.0.0/16', blockSize: 26 },
  },
  { kind: 'BGPPeer', spec: { node: 'a', nodeSelector: 'all()', peerIP: '10.0.0.1', asNumber: 1 } },
  { kind: 'BGPPeer', spec: { peerIP: '10.0.0.1', peerSelector: 'all()', asNumber: 1 } },
  { kind: 'BGPPeer', spec: { peerIP: '10.0.0.1', peerCIDR: '10.0.0.0/8', asNumber: 1 } },
  { kind: 'BGPPeer', spec: { peerIP: '10.0.0.1', localWorkloadSelector: 'all()', asNumber: 1 } },
  { kind: 'BGPPeer', spec: { peerSelector: 'all()', localWorkloadSelector: 'all()', asNumber: 1 } },
  { kind: 'BGPPeer', spec: { node: 'a' } },
  { kind: 'BGPPeer', spec: { peerIP: '10.0.0.1' } },
  { kind: 'BGPConfiguration', name: 'other', spec: {} },
  { kind: 'IPAMConfiguration', name: 'other', spec: {} },
  { kind: 'IPAMConfiguration', spec: { autoAllocateBlocks: false } },
];

/** CEL has 64-bit integers where JavaScript has numbers. */
const celValue = (value: unknown): unknown => {
  if (typeof value === 'number') return BigInt(value);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, celValue(inner)]));
};

/** Messages of the CEL rules that an object breaks. */
function broken({ kind, name = 'default', spec, old }: Case): string[] {
  const { root = [], spec: ofSpec = [] } = celRules[kind]!;
  const check = (self: object, oldSelf: object | undefined) => (one: { rule: string; message: string }) => {
    if (one.rule.includes('oldSelf') && !oldSelf) return [];
    const context = { self: celValue(self), oldSelf: celValue(oldSelf ?? {}) };
    return evaluate(one.rule, context as Record<string, unknown>) === true ? [] : [one.message];
  };
  return [
    ...root.flatMap(check({ metadata: { name }, spec }, undefined)),
    ...ofSpec.flatMap(check(spec, old)),
  ];
}

/** What our own validation says. */
function refused({ kind, name = 'default', spec, old }: Case): boolean {
  const definition = findKind(kind)!;
  const object = (of: object) => ({ apiVersion: 'projectcalico.org/v3', kind, metadata: { name }, spec: of });
  const parsed = definition.schema.safeParse(object(spec));
  if (!parsed.success) return true;
  const before = old && definition.schema.parse(object(old));
  return (definition.validate?.(parsed.data, before, { list: () => [] }) ?? []).length > 0;
}

describe('CEL rules', () => {
  it('let good objects pass, as our own validation does', () => {
    for (const one of good) expect([one, broken(one), refused(one)]).toEqual([one, [], false]);
  });

  it.each(bad)('refuse $kind $name $spec as our own validation does', (one) => {
    expect(broken(one)).toHaveLength(1);
    expect(refused(one)).toBe(true);
  });

  it('are each broken by one of the objects above', () => {
    const all = Object.values(celRules).flatMap(({ root = [], spec = [] }) => [...root, ...spec]);
    expect(new Set(bad.flatMap(broken))).toEqual(new Set(all.map(({ message }) => message)));
  });
});
