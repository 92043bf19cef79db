import { describe, expect, it } from 'vitest';
import { blockAffinityKind, ipamBlockKind, ipamHandleKind } from '../../../datastore/schema/ipam.ts';
import type { Audit, Leak } from '../../../ipam/audit.ts';
import { newBlock } from '../../../ipam/block.ts';
import { Suspicions } from '../../../ipam/suspicions.ts';

const apiVersion = 'projectcalico.org/v3';
const grace = { leakMs: 900, nodeMs: 60 };
const nothing: Audit = { leaks: [], spareHandles: [], spareAffinities: [], orphans: [], spareBlocks: [] };
const leak: Leak = {
  address: '10.1.0.1',
  handleId: 'h',
  sequence: 1,
  attributes: { node: 'n1' },
  cidr: '10.1.0.0/26',
  reason: 'pod default/p does not exist',
  isNodeGone: false,
};
const block = (resourceVersion: string) =>
  ipamBlockKind.schema.parse({
    apiVersion,
    kind: 'IPAMBlock',
    metadata: { name: '10-1-0-0-26', resourceVersion },
    spec: newBlock('10.1.0.0/26', 'n1', 1),
  });
const handle = ipamHandleKind.schema.parse({
  apiVersion,
  kind: 'IPAMHandle',
  metadata: { name: 'h', resourceVersion: '1' },
  spec: { handleID: 'h', block: {} },
});
const affinity = blockAffinityKind.schema.parse({
  apiVersion,
  kind: 'BlockAffinity',
  metadata: { name: 'n1-10-1-0-0-26', resourceVersion: '1' },
  spec: { state: 'confirmed', node: 'n1', type: 'host', cidr: '10.1.0.0/26', deleted: false },
});

/** Audits at the given times and returns what was confirmed last. */
function confirmed(...audits: [atMs: number, found: Audit][]): Audit {
  const suspicions = new Suspicions();
  let last = nothing;
  for (const [atMs, found] of audits) last = suspicions.confirm(found, atMs, grace);
  return last;
}

describe('a finding', () => {
  const found: Audit = {
    leaks: [leak],
    spareHandles: [handle],
    spareAffinities: [affinity],
    orphans: [],
    spareBlocks: [block('1')],
  };

  it('is confirmed when it lasts for the grace period, and not before', () => {
    expect(confirmed([0, found], [899, found])).toEqual(nothing);
    expect(confirmed([0, found], [900, found])).toEqual(found);
  });

  it('starts again when an audit does not report it', () => {
    expect(confirmed([0, found], [500, nothing], [900, found])).toEqual(nothing);
  });

  it('about a node that does not exist is confirmed after the grace period of nodes', () => {
    const gone: Audit = { ...nothing, leaks: [{ ...leak, isNodeGone: true }], orphans: [block('1')] };
    expect(confirmed([0, gone], [59, gone])).toEqual(nothing);
    expect(confirmed([0, gone], [60, gone])).toEqual(gone);
  });

  it('about an address starts again when the address was assigned again meanwhile', () => {
    const again: Audit = { ...nothing, leaks: [{ ...leak, sequence: 2 }] };
    expect(confirmed([0, { ...nothing, leaks: [leak] }], [900, again])).toEqual(nothing);
  });

  it('about an empty block starts again when the block was written meanwhile', () => {
    const [first, second] = ['1', '2'].map((version) => ({ ...nothing, spareBlocks: [block(version)] }));
    expect(confirmed([0, first!], [900, second!])).toEqual(nothing);
  });

  it('about a block of a missing node lasts although its addresses are released meanwhile', () => {
    const [first, second] = ['1', '2'].map((version) => ({ ...nothing, orphans: [block(version)] }));
    expect(confirmed([0, first!], [60, second!])).toEqual(second);
  });
});

describe('the count of suspicions', () => {
  it('is that of the last audit', () => {
    const suspicions = new Suspicions();
    suspicions.confirm({ ...nothing, leaks: [leak], spareHandles: [handle] }, 0, grace);
    expect(suspicions.count).toBe(2);
    suspicions.confirm(nothing, 1, grace);
    expect(suspicions.count).toBe(0);
  });
});
