import { beforeEach, describe, expect, it } from 'vitest';
import { type BlockAffinity, blockAffinityKind, ipamBlockKind } from '../../../datastore/schema/ipam.ts';
import { affinityName, claimBlock, releaseBlock } from '../../../ipam/affinity.ts';
import { assignNext, newBlock } from '../../../ipam/block.ts';
import { MemoryStore } from '../../helpers/memory-store.ts';

const CIDR = '10.1.0.0/26';
const NAME = '10-1-0-0-26';

let store: MemoryStore;
beforeEach(() => {
  store = new MemoryStore();
});
const states = () =>
  (store.all(blockAffinityKind) as unknown as BlockAffinity[]).map(
    ({ spec }) => `${spec.node} ${spec.state}`,
  );
const ownerOf = async () => (await store.get(ipamBlockKind, NAME))?.spec.affinity;
const claim = (node: string, cidr = CIDR) => claimBlock(store, node, cidr, 1);
async function claimed(node: string) {
  const block = await claim(node);
  if (!block) throw new Error(`${node} did not get the block`);
  return block;
}
/** Makes the nth operation of a kind throw, before or after it takes effect. */
function crash(operation: string, nth: number, when: 'before' | 'after'): void {
  let count = 0;
  const check = (name: string) => {
    if (name === operation && ++count === nth) throw new Error('crash');
  };
  if (when === 'before') store.before = async (name) => check(name);
  else store.after = check;
}
function recover(): void {
  store.before = async () => undefined;
  store.after = () => undefined;
}

describe('a claim of a block', () => {
  it('creates the block and confirms the affinity', async () => {
    expect((await claim('n1'))?.spec).toMatchObject({ cidr: CIDR, affinity: 'host:n1' });
    expect(states()).toEqual(['n1 confirmed']);
  });

  it('is safe to repeat', async () => {
    await claim('n1');
    expect((await claim('n1'))?.spec.affinity).toBe('host:n1');
    expect(states()).toEqual(['n1 confirmed']);
  });

  it('of another node’s block fails and leaves no affinity', async () => {
    await claim('n2');
    expect(await claim('n1')).toBeUndefined();
    expect(states()).toEqual(['n2 confirmed']);
    expect(await ownerOf()).toBe('host:n2');
  });

  it('fails when the object with its name has another network', async () => {
    await store.create(ipamBlockKind, {
      apiVersion: 'projectcalico.org/v3',
      kind: 'IPAMBlock',
      metadata: { name: NAME },
      spec: newBlock('10.9.0.0/26', 'n1', 1),
    });
    expect(await claim('n1')).toBeUndefined();
    expect(states()).toEqual([]);
  });

  it.each([
    ['create', 1, 'before', []],
    ['create', 1, 'after', ['n1 pending']],
    ['create', 2, 'before', ['n1 pending']],
    ['create', 2, 'after', ['n1 pending']],
    ['update', 1, 'before', ['n1 pending']],
    ['update', 1, 'after', ['n1 confirmed']],
  ] as const)(
    'that crashes at %s %i (%s it) leaves %j, and a repeated one completes it',
    async (operation, nth, when, left) => {
      crash(operation, nth, when);
      await expect(claim('n1')).rejects.toThrow('crash');
      recover();
      expect(states()).toEqual(left);
      expect((await claim('n1'))?.spec.affinity).toBe('host:n1');
      expect(states()).toEqual(['n1 confirmed']);
    },
  );

  it('of several nodes at the same time succeeds for exactly one', async () => {
    const results = await Promise.all(['n1', 'n2', 'n3'].map((node) => claim(node)));
    const winners = results.filter((block) => block !== undefined);
    expect(winners).toHaveLength(1);
    expect(states()).toEqual([`${winners[0]?.spec.affinity?.replace('host:', '')} confirmed`]);
  });

  it('of two processes of one node at the same time succeeds for both', async () => {
    const results = await Promise.all([claim('n1'), claim('n1')]);
    expect(results.map((block) => block?.spec.affinity)).toEqual(['host:n1', 'host:n1']);
    expect(states()).toEqual(['n1 confirmed']);
  });
});

describe('a release of a block', () => {
  it('removes the block and the affinity', async () => {
    expect(await releaseBlock(store, 'n1', await claimed('n1'))).toBe(true);
    expect([await ownerOf(), states()]).toEqual([undefined, []]);
  });

  it('of a block with an address changes nothing', async () => {
    const block = await claimed('n1');
    const used = assignNext(block.spec, { handleId: 'h', attributes: {} }, () => false);
    if (!used) throw new Error('the block is full');
    expect(await releaseBlock(store, 'n1', { ...block, spec: used.block })).toBe(false);
    expect(states()).toEqual(['n1 confirmed']);
  });

  it('of a block that another writer changed fails, and confirms the affinity again', async () => {
    const block = await claimed('n1');
    await store.update(ipamBlockKind, { ...block, spec: { ...block.spec, sequenceNumber: 9 } });
    expect(await releaseBlock(store, 'n1', block)).toBe(false);
    expect([await ownerOf(), states()]).toEqual(['host:n1', ['n1 confirmed']]);
  });

  it('without an affinity removes the block', async () => {
    const block = await claimed('n1');
    await store.remove(blockAffinityKind, affinityName('n1', CIDR));
    expect(await releaseBlock(store, 'n1', block)).toBe(true);
    expect(await ownerOf()).toBeUndefined();
  });

  it('that crashes after the block is gone leaves an affinity that shows it, and a claim resumes from there', async () => {
    const block = await claimed('n1');
    crash('remove', 2, 'before');
    await expect(releaseBlock(store, 'n1', block)).rejects.toThrow('crash');
    recover();
    expect([await ownerOf(), states()]).toEqual([undefined, ['n1 pendingDeletion']]);
    expect((await claim('n1'))?.spec.affinity).toBe('host:n1');
    expect(states()).toEqual(['n1 confirmed']);
  });
});
