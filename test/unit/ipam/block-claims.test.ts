import { beforeEach, describe, expect, it } from 'vitest';
import {
  blockAffinityKind,
  type IPAMBlock,
  type IPAMConfiguration,
  ipamBlockKind,
} from '../../../datastore/schema/ipam.ts';
import { BlockClaims, isInPools } from '../../../ipam/block-claims.ts';
import { KnownBlocks } from '../../../ipam/known-blocks.ts';
import { blockOf, podHolder } from '../../helpers/blocks.ts';
import { ManualClock } from '../../helpers/manual-clock.ts';
import { MemoryApi } from '../../helpers/memory-store.ts';
import { ipPool } from '../../helpers/objects.ts';

const HOUR = 3_600_000;

let store: MemoryApi;
let clock: ManualClock;
let pools: ReturnType<typeof ipPool>[];
let configuration: IPAMConfiguration['spec'] | undefined;
let known: KnownBlocks;
beforeEach(() => {
  store = new MemoryApi();
  clock = new ManualClock();
  clock.advance(HOUR);
  pools = [ipPool('10.0.0.0/29', { blockSize: 30 })];
  configuration = undefined;
});

function claimsOf(node: string): BlockClaims {
  const view = {
    pools: () => pools,
    blocks: () => store.all(ipamBlockKind) as unknown as IPAMBlock[],
    configuration: () => configuration,
    reservations: () => [],
    nodeLabels: () => ({}),
  };
  known = new KnownBlocks(view.blocks);
  return new BlockClaims({ node }, { store, view, clock, known });
}
const add = (block: IPAMBlock, createdMs = 0) =>
  store.create(ipamBlockKind, {
    ...block,
    metadata: { ...block.metadata, creationTimestamp: new Date(createdMs).toISOString() },
  });
const owners = () =>
  Object.fromEntries(
    (store.all(ipamBlockKind) as unknown as IPAMBlock[]).map(({ spec }) => [spec.cidr, spec.affinity]),
  );
const affinities = () => store.all(blockAffinityKind).map(({ metadata }) => metadata.name);

describe('a claim', () => {
  it('takes a free block of the pools and confirms the affinity', async () => {
    const cidr = await claimsOf('n1').claim(pools, 4);
    expect(owners()).toEqual({ [String(cidr)]: 'host:n1' });
    expect(store.all(blockAffinityKind)).toMatchObject([{ spec: { node: 'n1', state: 'confirmed' } }]);
  });

  it('takes another block when the first one is taken meanwhile', async () => {
    const claims = claimsOf('n1');
    let isFirst = true;
    store.before = async (operation) => {
      if (operation !== 'create' || !isFirst) return;
      isFirst = false;
      // Another node is faster on every block that n1 may try first.
      for (const cidr of ['10.0.0.0/30']) await add(blockOf('n2', cidr, podHolder('x')));
    };
    expect(await claims.claim(pools, 4)).toBe('10.0.0.4/30');
    expect(owners()).toEqual({ '10.0.0.0/30': 'host:n2', '10.0.0.4/30': 'host:n1' });
  });

  it('skips a block that cannot be read', async () => {
    store.put(ipamBlockKind, '10-0-0-0-30', {});
    store.put(blockAffinityKind, 'n1-10-0-0-0-30', {});
    expect(await claimsOf('n1').claim(pools, 4)).toBe('10.0.0.4/30');
  });

  it('takes no block that overlaps one of another size', async () => {
    await add(blockOf('n2', '10.0.0.4/31', podHolder('x')));
    expect(await claimsOf('n1').claim(pools, 4)).toBe('10.0.0.0/30');
    await add(blockOf('n2', '10.0.0.0/31', podHolder('y')));
    await store.remove(ipamBlockKind, '10-0-0-0-30');
    expect(await claimsOf('n1').claim(pools, 4)).toBeUndefined();
  });

  it('is refused above the limit of the node, and does nothing without automatic allocation', async () => {
    configuration = { strictAffinity: false, autoAllocateBlocks: true, maxBlocksPerHost: 1 };
    await claimsOf('n1').claim(pools, 4);
    await expect(claimsOf('n1').claim(pools, 4)).rejects.toMatchObject({ code: 'BLOCK_LIMIT' });
    configuration = { strictAffinity: true, autoAllocateBlocks: false, maxBlocksPerHost: 5 };
    expect(await claimsOf('n1').claim(pools, 4)).toBeUndefined();
  });

  it('fails when the datastore does', async () => {
    store.before = async () => {
      throw new Error('no answer');
    };
    await expect(claimsOf('n1').claim(pools, 4)).rejects.toThrow('no answer');
  });
});

describe('when all blocks are claimed, a node takes over a block', () => {
  const full = async () => add(blockOf('n2', '10.0.0.4/30', podHolder('x')));

  it('that another node has left empty for over a minute', async () => {
    await full();
    await add(blockOf('n2', '10.0.0.0/30'), HOUR - 60_001);
    expect(await claimsOf('n1').claim(pools, 4)).toBe('10.0.0.0/30');
    expect(owners()['10.0.0.0/30']).toBe('host:n1');
    expect(affinities()).toEqual(['n1-10-0-0-0-30']);
  });

  it('but not a young one, whose node may be about to use it', async () => {
    await full();
    await add(blockOf('n2', '10.0.0.0/30'), HOUR - 60_000);
    expect(await claimsOf('n1').claim(pools, 4)).toBeUndefined();
  });

  it('but not one with an address, one of its own, or one outside the pools', async () => {
    await full();
    await add(blockOf('n2', '10.0.0.0/30', podHolder('y')));
    await add(blockOf('n2', '10.9.0.0/30'));
    expect(await claimsOf('n1').claim(pools, 4)).toBeUndefined();
    expect(owners()['10.9.0.0/30']).toBe('host:n2');
  });

  it('but not one without a time of creation', async () => {
    await full();
    await store.create(ipamBlockKind, blockOf('n2', '10.0.0.0/30'));
    expect(await claimsOf('n1').claim(pools, 4)).toBeUndefined();
  });
});

describe('an empty block', () => {
  it('is given back unless it is the last one of the node in its family', async () => {
    const claims = claimsOf('n1');
    const [first, second] = [await claims.claim(pools, 4), await claims.claim(pools, 4)];
    await claims.giveBackWhenSpare(String(first));
    expect(Object.keys(owners())).toEqual([second]);
    await claims.giveBackWhenSpare(String(second));
    expect(Object.keys(owners())).toEqual([second]);
    await claims.giveBack(String(second));
    expect(owners()).toEqual({});
  });

  it('is given back although it is the last one when its pool is deleted', async () => {
    const claims = claimsOf('n1');
    const cidr = String(await claims.claim(pools, 4));
    pools = pools.map((pool) => ({
      ...pool,
      metadata: { ...pool.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' },
    }));
    await claims.giveBackWhenSpare(cidr);
    expect(owners()).toEqual({});
  });

  it('of another node, and one with an address, stay', async () => {
    await add(blockOf('n2', '10.0.0.0/30'));
    await add(blockOf('n1', '10.0.0.4/30', podHolder('x')));
    const claims = claimsOf('n1');
    pools = [];
    for (const cidr of ['10.0.0.0/30', '10.0.0.4/30', '10.9.0.0/30']) {
      await claims.giveBackWhenSpare(cidr);
      await claims.giveBack(cidr);
    }
    expect(Object.keys(owners())).toEqual(['10.0.0.0/30', '10.0.0.4/30']);
  });
});

it('a block is confirmed only while it belongs to the node', async () => {
  const claims = claimsOf('n1');
  await add(blockOf('n2', '10.0.0.0/30'));
  await add(blockOf('n1', '10.0.0.4/30'));
  expect(await claims.confirm('10.0.0.0/30')).toBe(false);
  expect(await claims.confirm('10.9.0.0/30')).toBe(false);
  expect(await claims.confirm('10.0.0.4/30')).toBe(true);
  expect(affinities()).toEqual(['n1-10-0-0-4-30']);
});

it('a block is in the pools if one of them contains it', () => {
  expect(isInPools(pools, '10.0.0.4/30')).toBe(true);
  expect(isInPools(pools, '10.0.0.0/28')).toBe(false);
  expect(isInPools([], '10.0.0.4/30')).toBe(false);
});
