import { describe, expect, it } from 'vitest';
import { allocatable, writePoolStatus } from '../../../controllers/pool-status.ts';
import { type IPPool, ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import type { IPAMBlock } from '../../../datastore/schema/ipam.ts';
import { assignNext, newBlock } from '../../../ipam/block.ts';
import { MemoryStore } from '../../helpers/memory-store.ts';

const pool = (spec: object): IPPool =>
  ipPoolKind.schema.parse({
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPPool',
    metadata: { name: 'p' },
    spec: { cidr: '10.0.0.0/30', blockSize: 30, ...spec },
  });

/** A block of four addresses, `count` of which are allocated. */
function blockWith(count: number): IPAMBlock {
  let spec = newBlock('10.0.0.0/30', 'n1', 1);
  for (let i = 0; i < count; i++)
    spec = assignNext(spec, { handleId: `h${i}`, attributes: {} }, () => false)!.block;
  return { apiVersion: 'projectcalico.org/v3', kind: 'IPAMBlock', metadata: { name: 'b' }, spec };
}

describe('IPPool.status', () => {
  it('reports whether addresses can be assigned, and why not', () => {
    const reason = (spec: object, taken: number) => allocatable(pool(spec), [blockWith(taken)]).reason;
    expect(reason({}, 3)).toBe('PoolReady');
    expect(reason({}, 4)).toBe('PoolFull');
    expect(reason({ disabled: true }, 0)).toBe('PoolDisabled');
    expect(reason({ assignmentMode: 'Manual' }, 0)).toBe('OnRequest');
  });

  it('is written only when it changes, and keeps conditions of others', async () => {
    const store = new MemoryStore();
    const writes: string[] = [];
    store.before = async (operation) => {
      writes.push(operation);
    };
    const other = { type: 'Other', status: 'True', reason: 'R', message: 'm' };
    await store.create(ipPoolKind, { ...pool({}), status: { conditions: [other] } });
    const pools = () => store.all(ipPoolKind) as unknown as IPPool[];
    const snapshot = (taken: number) => ({
      pools: pools(),
      blocks: [blockWith(taken)],
      affinities: [],
      handles: [],
      nodes: [],
      pods: [],
    });
    writes.length = 0;
    const failed = (name: string) => writes.push(`failed ${name}`);
    await writePoolStatus(store, snapshot(1), 0, failed);
    await writePoolStatus(store, snapshot(2), 1000, failed);
    expect(writes).toEqual(['patch']);
    await writePoolStatus(store, snapshot(4), 2000, failed);
    expect(pools()[0]!.status!['conditions']).toMatchObject([
      other,
      {
        type: 'Allocatable',
        status: 'False',
        reason: 'PoolFull',
        lastTransitionTime: '1970-01-01T00:00:02Z',
      },
    ]);
  });
});
