import { beforeEach, describe, expect, it } from 'vitest';
import { type IPAMBlock, ipamBlockKind } from '../../../datastore/schema/ipam.ts';
import { assignNext, type BlockSpec, newBlock } from '../../../ipam/block.ts';
import { BlockWriter } from '../../../ipam/block-writer.ts';
import { KnownBlocks } from '../../../ipam/known-blocks.ts';
import { MemoryStore } from '../../helpers/memory-store.ts';

const CIDR = '10.1.0.0/26';
const NAME = '10-1-0-0-26';

let store: MemoryStore;
let writer: BlockWriter;
let writes: number;
beforeEach(async () => {
  store = new MemoryStore();
  await store.create(ipamBlockKind, {
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPAMBlock',
    metadata: { name: NAME },
    spec: newBlock(CIDR, 'n1', 1),
  });
  writes = 0;
  store.after = (operation) => {
    if (operation === 'update') writes++;
  };
  // The watch shows nothing: only what the writer itself read and wrote is known.
  writer = new BlockWriter(store, new KnownBlocks(() => []));
});

const stored = async () => (await store.get(ipamBlockKind, NAME))?.spec;
const count = async () => (await stored())?.allocations.filter((index) => index !== null).length;
const take = (handleId: string) => (spec: BlockSpec) =>
  assignNext(spec, { handleId, attributes: {} }, () => false)?.block ?? spec;
/** Changes the block as another node, without the writer's knowledge. */
async function interfere(): Promise<void> {
  const block = (await store.get(ipamBlockKind, NAME)) as IPAMBlock;
  await store.update(ipamBlockKind, { ...block, spec: take('other')(block.spec) });
}

describe('a change of a block', () => {
  it('is written', async () => {
    expect(await writer.change(CIDR, take('h'))).toBe(true);
    expect([await count(), writes]).toEqual([1, 1]);
  });

  it('is combined with others that arrive while a block is being written', async () => {
    const results = await Promise.all(
      Array.from({ length: 50 }, (_, i) => writer.change(CIDR, take(`h${i}`))),
    );
    expect(results.every(Boolean)).toBe(true);
    expect(await count()).toBe(50);
    expect(writes).toBeLessThanOrEqual(2);
  });

  it('is applied again to the newest block when another writer was faster', async () => {
    await writer.change(CIDR, take('h1'));
    await interfere();
    expect(await writer.change(CIDR, take('h2'))).toBe(true);
    expect(await count()).toBe(3);
  });

  it('that throws is rejected, and the others of its batch are written', async () => {
    const [first, bad, good] = await Promise.allSettled([
      writer.change(CIDR, take('h1')),
      writer.change(CIDR, () => {
        throw new Error('refused');
      }),
      writer.change(CIDR, take('h2')),
    ]);
    expect([first.status, bad.status, good.status]).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await count()).toBe(2);
  });

  it('without effect is not written, after a check that the block is current', async () => {
    await writer.change(CIDR, take('h'));
    await interfere();
    writes = 0;
    let seen = 0;
    const look = (spec: BlockSpec) => {
      seen = spec.allocations.filter((index) => index !== null).length;
      return spec;
    };
    expect(await writer.change(CIDR, look)).toBe(true);
    expect([seen, writes]).toEqual([2, 0]);
  });

  it('of a missing block resolves with false', async () => {
    expect(await writer.change('10.9.0.0/26', take('h'))).toBe(false);
    await writer.change(CIDR, take('h'));
    await store.remove(ipamBlockKind, NAME);
    expect(await writer.change(CIDR, take('h2'))).toBe(false);
  });

  it('of a block whose object has another network resolves with false', async () => {
    await store.remove(ipamBlockKind, NAME);
    await store.create(ipamBlockKind, {
      apiVersion: 'projectcalico.org/v3',
      kind: 'IPAMBlock',
      metadata: { name: NAME },
      spec: newBlock('10.9.0.0/26', 'n1', 1),
    });
    expect(await writer.change(CIDR, take('h'))).toBe(false);
    expect(await count()).toBe(0);
  });

  it('is rejected when the API is away, and the next one is written', async () => {
    store.before = () => Promise.reject(new Error('the API is away'));
    await expect(writer.change(CIDR, take('h1'))).rejects.toThrow('the API is away');
    store.before = async () => undefined;
    expect(await writer.change(CIDR, take('h2'))).toBe(true);
    expect(await count()).toBe(1);
  });

  it('gives up after a hundred lost races', async () => {
    let isOther = false;
    store.before = async (operation) => {
      if (operation !== 'update' || isOther) return;
      isOther = true;
      await interfere();
      isOther = false;
    };
    const full = (spec: BlockSpec) => ({ ...spec, sequenceNumber: spec.sequenceNumber + 1 });
    await expect(writer.change(CIDR, full)).rejects.toThrow('changed during each of 100 writes');
  });
});
