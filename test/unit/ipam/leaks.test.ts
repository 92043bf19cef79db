import { describe, expect, it } from 'vitest';
import type { Pod } from '../../../datastore/schema/core.ts';
import type { IPAMBlock, IPAMHandle } from '../../../datastore/schema/ipam.ts';
import { assignNext, newBlock } from '../../../ipam/block.ts';
import { ownLeaks } from '../../../ipam/leaks.ts';

const apiVersion = 'projectcalico.org/v3';
const startedAt = Date.parse('2026-11-21T12:00:00Z');
const before = '2026-11-21T11:59:59Z';
const after = '2026-11-21T12:00:01Z';

function block(
  owners: readonly { handle: string; attributes: Record<string, string> }[],
  node = 'n1',
): IPAMBlock {
  let spec = newBlock('10.0.0.0/28', node, 1);
  for (const { handle, attributes } of owners)
    spec = assignNext(spec, { handleId: handle, attributes }, () => false)!.block;
  return { apiVersion, kind: 'IPAMBlock', metadata: { name: 'b' }, spec };
}
const handle = (handleID: string, cidr: string, creationTimestamp: string): IPAMHandle => ({
  apiVersion,
  kind: 'IPAMHandle',
  metadata: { name: handleID, creationTimestamp },
  spec: { handleID, block: { [cidr]: 1 }, deleted: false },
});
const pod = (name: string, timestamp: string, node = 'n1') => ({
  node,
  namespace: 'default',
  pod: name,
  timestamp,
});
const running = (ip: string): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', namespace: 'default' },
  spec: {},
  status: { podIP: ip },
});

describe('what an earlier agent leaked in IPAM', () => {
  const leaks = (more: Partial<Parameters<typeof ownLeaks>[0]>) =>
    ownLeaks({
      node: 'n1',
      startedAt,
      blocks: [],
      handles: [],
      known: new Set(),
      podOf: () => undefined,
      ...more,
    });

  it('includes addresses of pods that this agent does not know, if older than this agent', () => {
    const blocks = [
      block([
        { handle: 'dead', attributes: pod('a', before) },
        { handle: 'known', attributes: pod('b', before) },
        { handle: 'just-made', attributes: pod('c', after) },
        { handle: 'of-another-node', attributes: pod('d', before, 'n2') },
        { handle: 'tunnel', attributes: { node: 'n1', type: 'vxlanTunnelAddress', timestamp: before } },
        { handle: 'foreign', attributes: pod('e', before) },
      ]),
    ];
    const podOf = (_: string, name: string) => (name === 'e' ? running('10.0.0.5') : running('10.0.0.99'));
    expect(leaks({ blocks, known: new Set(['known']), podOf })).toEqual(['dead']);
  });

  it('includes handles without addresses in blocks of this node', () => {
    const blocks = [block([{ handle: 'held', attributes: pod('a', after) }])];
    const handles = [
      handle('empty', '10.0.0.0/28', before),
      handle('held', '10.0.0.0/28', before),
      handle('young', '10.0.0.0/28', after),
      handle('known', '10.0.0.0/28', before),
      handle('elsewhere', '10.0.9.0/28', before),
    ];
    expect(leaks({ blocks, handles, known: new Set(['known']) })).toEqual(['empty']);
  });
});
