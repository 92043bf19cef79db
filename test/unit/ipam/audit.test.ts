import { describe, expect, it } from 'vitest';
import { nodeKind, podKind } from '../../../datastore/schema/core.ts';
import { blockAffinityKind, ipamBlockKind, ipamHandleKind } from '../../../datastore/schema/ipam.ts';
import { addressesOfPod, audit, type IpamSnapshot, isFinished, nodeOf } from '../../../ipam/audit.ts';
import { assignNext, newBlock } from '../../../ipam/block.ts';
import { ipPool } from '../../helpers/objects.ts';

const apiVersion = 'projectcalico.org/v3';
const node = (name: string) => nodeKind.schema.parse({ apiVersion: 'v1', kind: 'Node', metadata: { name } });
const pod = (name: string, status: object = {}) =>
  podKind.schema.parse({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: { nodeName: 'n1' },
    status,
  });
/** Returns a block, with an address for each pod. */
function block(cidr: string, owner: string | undefined, ...pods: string[]) {
  let spec = newBlock(cidr, owner ?? 'n1', 1);
  for (const name of pods) {
    const attributes = { node: 'n1', namespace: 'default', pod: name };
    spec = assignNext(spec, { handleId: name, attributes }, () => false)?.block ?? spec;
  }
  const name = cidr.replace(/[./]/g, '-');
  const { affinity: _, ...unowned } = spec;
  return ipamBlockKind.schema.parse({
    apiVersion,
    kind: 'IPAMBlock',
    metadata: { name },
    spec: owner === undefined ? unowned : spec,
  });
}
const handle = (name: string) =>
  ipamHandleKind.schema.parse({
    apiVersion,
    kind: 'IPAMHandle',
    metadata: { name },
    spec: { handleID: name, block: {} },
  });
const affinity = (owner: string, cidr: string) =>
  blockAffinityKind.schema.parse({
    apiVersion,
    kind: 'BlockAffinity',
    metadata: { name: `${owner}-${cidr.replace(/[./]/g, '-')}` },
    spec: { state: 'confirmed', node: owner, type: 'host', cidr, deleted: false },
  });
const cluster: IpamSnapshot = {
  pools: [ipPool('10.1.0.0/16')],
  blocks: [],
  affinities: [],
  handles: [],
  nodes: [node('n1'), node('n2')],
  pods: [],
};
/** Returns the names of what an audit finds. */
function findings(more: Partial<IpamSnapshot>) {
  const found = audit({ ...cluster, ...more });
  return {
    leaks: found.leaks.map(({ address }) => address),
    handles: found.spareHandles.map(({ metadata }) => metadata.name),
    affinities: found.spareAffinities.map(({ spec }) => `${spec.node} ${spec.cidr}`),
    orphans: found.orphans.map(({ spec }) => spec.cidr),
    blocks: found.spareBlocks.map(({ spec }) => spec.cidr),
  };
}
const nothing = { leaks: [], handles: [], affinities: [], orphans: [], blocks: [] };
const hidden = (kind: string, name: string) => [{ kind, name, namespace: 'default', reason: 'bad' }];

describe('an audit of IPAM', () => {
  it('finds nothing in a sound cluster', () => {
    expect(
      findings({
        blocks: [block('10.1.0.0/26', 'n1', 'a'), block('10.1.0.64/26', 'n2')],
        affinities: [affinity('n1', '10.1.0.0/26'), affinity('n2', '10.1.0.64/26')],
        handles: [handle('a')],
        pods: [pod('a')],
      }),
    ).toEqual(nothing);
  });

  it('finds addresses of missing pods, handles without addresses and affinities without blocks', () => {
    expect(
      findings({
        blocks: [block('10.1.0.0/26', 'n1', 'gone')],
        affinities: [
          affinity('n1', '10.1.0.0/26'),
          affinity('n2', '10.1.0.0/26'),
          affinity('n1', '10.1.9.0/26'),
        ],
        handles: [handle('gone'), handle('empty')],
      }),
    ).toEqual({
      ...nothing,
      leaks: ['10.1.0.0'],
      handles: ['empty'],
      affinities: ['n2 10.1.0.0/26', 'n1 10.1.9.0/26'],
    });
  });

  it('concludes nothing from an object that exists and cannot be read', () => {
    const leaking = { blocks: [block('10.1.0.0/26', 'n1', 'gone')] };
    expect(findings({ ...leaking, unreadable: hidden('Pod', 'gone') }).leaks).toEqual([]);
    expect(findings({ ...leaking, unreadable: hidden('Pod', 'other') }).leaks).toEqual(['10.1.0.0']);
    const spare = { handles: [handle('h')], affinities: [affinity('n1', '10.1.9.0/26')] };
    expect(findings(spare)).toMatchObject({ handles: ['h'], affinities: ['n1 10.1.9.0/26'] });
    expect(findings({ ...spare, unreadable: hidden('IPAMBlock', 'b') })).toEqual(nothing);
    const orphan = { blocks: [block('10.1.0.0/26', 'n9', 'a')], pods: [pod('a')] };
    expect(findings(orphan).orphans).toEqual(['10.1.0.0/26']);
    expect(findings({ ...orphan, unreadable: hidden('Node', 'n9') }).orphans).toEqual([]);
    const outside = { blocks: [block('10.9.0.0/26', 'n1')] };
    expect(findings(outside).blocks).toEqual(['10.9.0.0/26']);
    expect(findings({ ...outside, unreadable: hidden('IPPool', 'p') }).blocks).toEqual([]);
  });

  it('finds empty blocks without a node, outside the pools, and all but one of a node', () => {
    expect(
      findings({
        blocks: [
          block('10.1.0.0/26', undefined),
          block('10.1.0.64/26', 'n1'),
          block('10.1.0.128/26', 'n1'),
          block('10.1.1.0/26', 'n2', 'a'),
          block('10.1.1.64/26', 'n2'),
          block('10.9.0.0/26', 'n1'),
        ],
        pods: [pod('a')],
      }).blocks,
    ).toEqual(['10.1.0.0/26', '10.9.0.0/26', '10.1.0.128/26', '10.1.1.64/26']);
  });

  it('finds a node’s last block when its pool is being deleted', () => {
    const pool = ipPool('10.1.0.0/16');
    const deleted = { ...pool, metadata: { ...pool.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } };
    expect(findings({ pools: [deleted], blocks: [block('10.1.0.0/26', 'n1')] }).blocks).toEqual([
      '10.1.0.0/26',
    ]);
  });
});

describe('facts about blocks and pods', () => {
  it('a block belongs to the node of its host affinity only', () => {
    expect(nodeOf(block('10.1.0.0/26', 'n1'))).toBe('n1');
    expect(nodeOf(block('10.1.0.0/26', undefined))).toBeUndefined();
    const virtual = block('10.1.0.0/26', 'n1');
    expect(nodeOf({ ...virtual, spec: { ...virtual.spec, affinity: 'virtual:lb' } })).toBeUndefined();
  });

  it('a pod has finished when its phase is Succeeded or Failed', () => {
    expect(
      ['Pending', 'Running', 'Succeeded', 'Failed'].map((phase) => isFinished(pod('a', { phase }))),
    ).toEqual([false, false, true, true]);
  });

  it('a pod’s addresses are those of its status, as blocks format them', () => {
    const status = { podIP: '10.1.0.1', podIPs: [{ ip: '10.1.0.1' }, { ip: 'FD00:0:0::1' }, { ip: 'none' }] };
    expect(addressesOfPod(pod('a', status))).toEqual(['10.1.0.1', 'fd00::1', '10.1.0.1']);
  });
});
