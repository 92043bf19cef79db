import { describe, expect, it } from 'vitest';
import { DatastoreError } from '../../../datastore/errors.ts';
import { nodeKind } from '../../../datastore/schema/core.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import {
  blockAffinityKind,
  type IPAMBlock,
  ipamBlockKind,
  nameOfCidr,
} from '../../../datastore/schema/ipam.ts';
import { audit } from '../../../ipam/audit.ts';
import { type BlockSpec, newBlock } from '../../../ipam/block.ts';
import { blockProblems, damageOf, hasOwnName } from '../../../ipam/block-faults.ts';
import { readSnapshot } from '../../../ipam/garbage.ts';
import { Ipam } from '../../../ipam/ipam.ts';
import { MemoryStore } from '../../helpers/memory-store.ts';

const apiVersion = 'projectcalico.org/v3';
/** A sound block: ordinal 0 is allocated. */
const sound: BlockSpec = {
  ...newBlock('10.0.0.0/30', 'n1', 1),
  allocations: [0, null, null, null],
  unallocated: [1, 2, 3],
  attributes: [{ handle_id: 'old' }],
};
const object = (spec: BlockSpec, name = nameOfCidr(spec.cidr)): IPAMBlock => ({
  apiVersion,
  kind: 'IPAMBlock',
  metadata: { name },
  spec,
});

const damages: readonly [string, Partial<BlockSpec>, string][] = [
  [
    'an address that is both free and taken',
    { unallocated: [0, 1, 2, 3] },
    'ordinal 0 is both free and allocated',
  ],
  ['an ordinal beyond its end', { unallocated: [1, 2, 3, 4] }, 'free ordinal 4 is outside the block'],
  ['a negative ordinal', { unallocated: [-1] }, 'free ordinal -1 is outside the block'],
  [
    'a missing attribute',
    { allocations: [7, null, null, null] },
    'an address refers to attribute 7, which does not exist',
  ],
  [
    'more allocations than addresses',
    { allocations: Array(5).fill(null) },
    'it has 5 allocations for 4 addresses',
  ],
  ['fewer allocations than addresses', { allocations: [] }, 'it has 0 allocations for 4 addresses'],
];

/** Node n1 with these blocks and a pool, and a function to assign addresses. */
async function give(blocks: readonly IPAMBlock[], cidr = '10.0.0.0/28') {
  const store = new MemoryStore();
  await store.create(nodeKind, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } });
  for (const block of blocks) {
    await store.create(ipamBlockKind, block);
    await store.create(blockAffinityKind, {
      apiVersion,
      kind: 'BlockAffinity',
      metadata: { name: `n1-${block.metadata.name}` },
      spec: { cidr: block.spec.cidr, node: 'n1', state: 'confirmed' },
    });
  }
  const pool = ipPoolKind.schema.parse({
    apiVersion,
    kind: 'IPPool',
    metadata: { name: 'p' },
    spec: { cidr, blockSize: 30 },
  });
  const all = () => store.all(ipamBlockKind) as unknown as IPAMBlock[];
  const ipam = new Ipam(
    { node: 'n1' },
    {
      store,
      clock: { now: () => 1_000_000, after: () => () => undefined },
      view: {
        pools: () => [pool],
        blocks: () => all().filter(hasOwnName),
        configuration: () => undefined,
        reservations: () => [],
        nodeLabels: () => ({}),
      },
    },
  );
  const assign = async (handleId: string, addresses?: string[]) =>
    (
      await ipam.assign({
        handleId,
        attributes: { node: 'n1' },
        families: [4],
        namespaceLabels: {},
        ...(addresses ? { addresses } : {}),
      })
    )[0]!;
  return { store, all, ipam, assign };
}

describe('a block', () => {
  it.each(damages)('with %s assigns no address, and other blocks do', async (_, more, sentence) => {
    const damaged = { ...sound, ...more };
    expect(damageOf(damaged)[0]).toBe(sentence);
    expect(blockProblems([object(damaged)]).map(({ problem }) => problem)).toMatchObject([
      { kind: 'IPAMBlock', name: '10-0-0-0-30', reason: expect.stringContaining(sentence) },
    ]);
    const { all, assign } = await give([object(damaged)]);
    const given = [await assign('a'), await assign('b'), await assign('c')];
    for (const address of given) expect(address).not.toMatch(/^10\.0\.0\.[0-3]$/);
    expect(new Set(given).size).toBe(3);
    expect(all().find(({ metadata }) => metadata.name === '10-0-0-0-30')?.spec).toMatchObject(more);
    await expect(assign('d', ['10.0.0.2'])).rejects.toThrow(
      /10\.0\.0\.2 is in block .* assigns no addresses/,
    );
  });

  it('that becomes damaged between plan and write assigns no address', async () => {
    const { store, assign } = await give([object(sound)]);
    let isDone = false;
    store.before = async (operation) => {
      if (operation !== 'update' || isDone) return;
      isDone = true;
      const block = (await store.get(ipamBlockKind, '10-0-0-0-30'))!;
      await store.update(ipamBlockKind, { ...block, spec: { ...block.spec, unallocated: [0, 1, 2, 3] } });
    };
    expect(await assign('a')).not.toMatch(/^10\.0\.0\.[0-3]$/);
    expect(isDone).toBe(true);
  });

  it('under the name of another network is not used, and that network’s own block is', async () => {
    const impostor = object(
      { ...sound, allocations: Array(4).fill(null), unallocated: [0, 1, 2, 3] },
      'evil',
    );
    const named = object(newBlock('10.0.0.8/30', 'n1', 1), '10-0-0-4-30');
    expect(blockProblems([impostor, named]).map(({ problem: { name, field } }) => [name, field])).toEqual([
      ['evil', 'spec.cidr'],
      ['10-0-0-4-30', 'spec.cidr'],
    ]);
    const { store, all, assign } = await give([object(sound), impostor, named]);
    const given: string[] = [];
    for (let i = 0; i < 11; i++) given.push(await assign(`h${i}`));
    // Of 16 addresses, one is allocated, and the network of four others has no block object.
    expect(new Set(given).size).toBe(11);
    for (const address of given) expect(address).not.toMatch(/^10\.0\.0\.[04-7]$/);
    await expect(assign('full')).rejects.toThrow('no IPs available');
    await expect(assign('asked', ['10.0.0.5'])).rejects.toThrow(/its object has the network 10\.0\.0\.8\/30/);
    expect(all().filter((block) => !hasOwnName(block))).toHaveLength(2);
    const found = audit(await readSnapshot(store));
    expect([...found.spareAffinities, ...found.spareBlocks, ...found.orphans]).toEqual([]);
  });

  it('that overlaps another one assigns no address, and no block is claimed over it', async () => {
    const wide = object(newBlock('10.0.0.0/29', 'n1', 1));
    const { assign } = await give([wide, object(sound)]);
    const given = [];
    for (let i = 0; i < 8; i++) given.push(await assign(`h${i}`));
    expect(new Set(given.map((address) => Number(address.split('.')[3])))).toEqual(
      new Set([8, 9, 10, 11, 12, 13, 14, 15]),
    );
    await expect(assign('full')).rejects.toThrow('no IPs available');
    await expect(assign('asked', ['10.0.0.5'])).rejects.toThrow(/would overlap block 10\.0\.0\.0\/29/);
  });

  it('that overlaps a damaged one does not assign addresses that the damaged one has assigned', async () => {
    const damaged = object({ ...sound, cidr: '10.0.0.0/28', allocations: [null, null, 0] });
    const { assign } = await give([damaged], '10.0.0.0/30');
    const given = [await assign('a'), await assign('b'), await assign('c')];
    expect(given.toSorted()).toEqual(['10.0.0.0', '10.0.0.1', '10.0.0.3']);
    await expect(assign('d', ['10.0.0.2'])).rejects.toThrow(
      /damaged overlapping block has assigned the address/,
    );
  });

  it('that has become unreadable is skipped in favour of another one', async () => {
    const { store, assign } = await give([object(sound)]);
    const get = store.get.bind(store);
    store.get = async (definition, name) => {
      if (name === '10-0-0-0-30') throw new DatastoreError('INVALID', 'cannot be read');
      return get(definition, name);
    };
    // The first update conflicts, because the watch still has the previous version.
    store.before = async (operation) => {
      if (operation === 'update' && (await isOldWritten())) throw new DatastoreError('CONFLICT', 'modified');
    };
    let updates = 0;
    const isOldWritten = async () => ++updates === 1;
    expect(await assign('a')).not.toMatch(/^10\.0\.0\.[0-3]$/);
    expect(await assign('b')).not.toMatch(/^10\.0\.0\.[0-3]$/);
  });

  it('whose entries are missing does not count as empty: another node does not claim it', async () => {
    const emptied = object({ ...sound, allocations: [], affinity: 'host:n2' });
    emptied.metadata.creationTimestamp = '1970-01-01T00:00:00Z';
    const { all, assign } = await give([emptied], '10.0.0.0/30');
    await expect(assign('a')).rejects.toThrow('no IPs available');
    expect(all().map(({ spec }) => spec.affinity)).toEqual(['host:n2']);
  });
});
