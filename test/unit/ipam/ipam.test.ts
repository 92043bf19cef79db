import { describe, expect, it } from 'vitest';
import { nodeKind, podKind } from '../../../datastore/schema/core.ts';
import { type IPPool, ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import {
  type BlockAffinity,
  blockAffinityKind,
  type IPAMBlock,
  ipamBlockKind,
  ipamHandleKind,
} from '../../../datastore/schema/ipam.ts';
import { IpamError } from '../../../ipam/address-source.ts';
import { audit } from '../../../ipam/audit.ts';
import { collect, readSnapshot } from '../../../ipam/garbage.ts';
import { Ipam } from '../../../ipam/ipam.ts';
import type { IpamView } from '../../../ipam/view.ts';
import { MemoryStore } from '../../helpers/memory-store.ts';

const clock = { now: () => 1_000_000, after: () => () => undefined };

function pool(cidr: string, spec: object = {}): IPPool {
  const metadata = { name: `p-${cidr.replace(/[^0-9a-f]/g, '-')}` };
  return ipPoolKind.schema.parse({
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPPool',
    metadata,
    spec: { cidr, ...spec },
  });
}

function viewOf(store: MemoryStore, pools: readonly IPPool[], more: Partial<IpamView> = {}): IpamView {
  return {
    pools: () => pools,
    blocks: () => store.all(ipamBlockKind) as unknown as IPAMBlock[],
    configuration: () => undefined,
    reservations: () => [],
    nodeLabels: () => ({}),
    ...more,
  };
}

function ipamOf(
  store: MemoryStore,
  node: string,
  pools: readonly IPPool[],
  more: Partial<IpamView> = {},
): Ipam {
  return new Ipam({ node }, { store, view: viewOf(store, pools, more), clock });
}

const request = (handleId: string, more = {}) => ({
  handleId,
  attributes: { node: 'n' },
  families: [4 as const],
  namespaceLabels: {},
  ...more,
});

/** Returns the handle of every allocated address. */
function allocations(store: MemoryStore): Map<string, string> {
  const found = new Map<string, string>();
  for (const { spec } of store.all(ipamBlockKind) as unknown as IPAMBlock[]) {
    spec.allocations.forEach((index, ordinal) => {
      if (index !== null) found.set(`${spec.cidr}#${ordinal}`, spec.attributes[index]!.handle_id!);
    });
  }
  return found;
}

describe('IPAM', () => {
  it('gives a node its own block, with a confirmed affinity', async () => {
    const store = new MemoryStore();
    const [address] = await ipamOf(store, 'n1', [pool('10.0.0.0/16')]).assign(request('h1'));
    const [block] = store.all(ipamBlockKind) as unknown as IPAMBlock[];
    expect(block!.spec).toMatchObject({ affinity: 'host:n1', attributes: [{ handle_id: 'h1' }] });
    expect(block!.spec.cidr.endsWith('/26')).toBe(true);
    expect(address).toBe(block!.spec.cidr.split('/')[0]);
    expect((store.all(blockAffinityKind) as unknown as BlockAffinity[])[0]!.spec).toMatchObject({
      state: 'confirmed',
      node: 'n1',
    });
  });

  it('reuses a freed address last', async () => {
    const store = new MemoryStore();
    const ipam = ipamOf(store, 'n1', [pool('10.0.0.0/30', { blockSize: 30 })]);
    const first = await ipam.assign(request('h1'));
    await ipam.releaseHandle('h1');
    const next = [];
    for (let i = 0; i < 4; i++) next.push(...(await ipam.assign(request(`n${i}`))));
    expect(next.at(-1)).toBe(first[0]);
    expect(new Set(next).size).toBe(4);
  });

  it('assigns both families or none', async () => {
    const store = new MemoryStore();
    const both = { families: [4 as const, 6 as const] };
    const ipam = ipamOf(store, 'n1', [pool('10.0.0.0/16'), pool('fd00::/64')]);
    expect((await ipam.assign(request('h1', both))).map((address) => address.includes(':'))).toEqual([
      false,
      true,
    ]);
    await expect(ipamOf(store, 'n2', [pool('10.0.0.0/16')]).assign(request('h2', both))).rejects.toThrow(
      /no IPv6 pool qualifies/,
    );
    expect([...allocations(store).values()]).toEqual(['h1', 'h1']);
  });

  it('answers a repeated request with the addresses of the handle', async () => {
    const store = new MemoryStore();
    const ipam = ipamOf(store, 'n1', [pool('10.0.0.0/16')]);
    const first = await ipam.assign(request('h1'));
    expect(await ipam.assign(request('h1'))).toEqual(first);
    expect(allocations(store).size).toBe(1);
  });

  it('claims a second block when the first is full, and releases an empty one', async () => {
    const store = new MemoryStore();
    const ipam = ipamOf(store, 'n1', [pool('10.0.0.0/28', { blockSize: 30 })]);
    for (let i = 0; i < 5; i++) await ipam.assign(request(`h${i}`));
    expect(store.all(ipamBlockKind)).toHaveLength(2);
    await ipam.releaseHandle('h4');
    expect(store.all(ipamBlockKind)).toHaveLength(1);
    expect(store.all(blockAffinityKind)).toHaveLength(1);
  });

  it('borrows from another node’s block unless strictAffinity is on, and reports when nothing is left', async () => {
    const store = new MemoryStore();
    const pools = [pool('10.0.0.0/29', { blockSize: 29 })];
    await ipamOf(store, 'n1', pools).assign(request('h1'));
    const strict = { strictAffinity: true, maxBlocksPerHost: 0, autoAllocateBlocks: true };
    await expect(
      ipamOf(store, 'n2', pools, { configuration: () => strict }).assign(request('x')),
    ).rejects.toThrow(/no IPs available in pools: \[10\.0\.0\.0\/29\]/);
    const borrower = ipamOf(store, 'n2', pools);
    for (let i = 0; i < 7; i++) await borrower.assign(request(`b${i}`));
    await expect(borrower.assign(request('b7'))).rejects.toThrow(IpamError);
    expect(allocations(store).size).toBe(8);
  });

  it('stops at the block limit with Calico’s message', async () => {
    const limited = { strictAffinity: true, maxBlocksPerHost: 1, autoAllocateBlocks: true };
    const ipam = ipamOf(new MemoryStore(), 'n1', [pool('10.0.0.0/24', { blockSize: 32 })], {
      configuration: () => limited,
    });
    await ipam.assign(request('h1'));
    await expect(ipam.assign(request('h2'))).rejects.toThrow(
      /cannot allocate new block due to per host block limit/,
    );
  });

  it('assigns no reserved address, even on request (fault A8)', async () => {
    const reservation = {
      apiVersion: 'projectcalico.org/v3' as const,
      kind: 'IPReservation' as const,
      metadata: { name: 'r' },
      spec: { reservedCIDRs: ['10.0.0.0/31'] },
    };
    const ipam = ipamOf(new MemoryStore(), 'n1', [pool('10.0.0.0/30', { blockSize: 30 })], {
      reservations: () => [reservation],
    });
    expect(await ipam.assign(request('h1'))).toEqual(['10.0.0.2']);
    await expect(ipam.assign(request('h2', { addresses: ['10.0.0.1'] }))).rejects.toThrow(
      /10\.0\.0\.1 is reserved by an IPReservation/,
    );
    expect(await ipam.assign(request('h2', { addresses: ['10.0.0.3'] }))).toEqual(['10.0.0.3']);
    await expect(ipam.assign(request('h3', { addresses: ['10.0.0.3'] }))).rejects.toThrow(
      /10\.0\.0\.3 is taken by h2/,
    );
    await expect(ipam.assign(request('h4', { addresses: ['192.0.2.1'] }))).rejects.toThrow(
      /in no enabled IPPool/,
    );
  });

  it('uses pools that select the node and the namespace, or the named one', async () => {
    const pools = [
      pool('10.1.0.0/24', { nodeSelector: "zone == 'a'" }),
      pool('10.2.0.0/24', { nodeSelector: "zone == 'b'" }),
      pool('10.3.0.0/24', { assignmentMode: 'Manual' }),
    ];
    const ipam = ipamOf(new MemoryStore(), 'n1', pools, { nodeLabels: () => ({ zone: 'b' }) });
    expect((await ipam.assign(request('h1')))[0]).toMatch(/^10\.2\./);
    expect((await ipam.assign(request('h2', { pools: { 4: ['10.3.0.0/24'] } })))[0]).toMatch(/^10\.3\./);
  });

  it('confirms the affinity of a block whose release was interrupted', async () => {
    const store = new MemoryStore();
    const ipam = ipamOf(store, 'n1', [pool('10.0.0.0/28', { blockSize: 30 })]);
    for (let i = 0; i < 5; i++) await ipam.assign(request(`h${i}`));
    store.before = async (operation) => {
      if (
        operation === 'remove' &&
        store
          .all(blockAffinityKind)
          .some(({ spec }) => (spec as { state: string }).state === 'pendingDeletion')
      )
        throw new Error('dies');
    };
    await expect(ipam.releaseHandle('h4')).rejects.toThrow();
    store.before = async () => undefined;
    const affinities = () => store.all(blockAffinityKind) as unknown as BlockAffinity[];
    const next = ipamOf(store, 'n1', [pool('10.0.0.0/28', { blockSize: 30 })]);
    // The failed release confirmed the affinity again. A crash would leave it pendingDeletion.
    for (const affinity of affinities())
      await store.update(blockAffinityKind, {
        ...affinity,
        spec: { ...affinity.spec, state: 'pendingDeletion' },
      });
    const unconfirmed = next.unconfirmed(affinities());
    expect(unconfirmed).toHaveLength(2);
    for (const cidr of unconfirmed) expect(await next.confirm(cidr)).toBe(true);
    expect(affinities().map(({ spec }) => spec.state)).toEqual(['confirmed', 'confirmed']);
    expect(next.unconfirmed(affinities())).toEqual([]);
  });

  it('does not claim a released block again when its affinity is to be confirmed', async () => {
    const store = new MemoryStore();
    const ipam = ipamOf(store, 'n1', [pool('10.0.0.0/28', { blockSize: 30 })]);
    await ipam.assign(request('h'));
    const [block] = store.all(ipamBlockKind) as unknown as IPAMBlock[];
    await store.remove(ipamBlockKind, block!.metadata.name);
    expect(await ipam.confirm(block!.spec.cidr)).toBe(false);
    expect(store.all(ipamBlockKind)).toEqual([]);
  });

  it('gives each of a hundred concurrent pods an address, with few writes and from one block', async () => {
    const store = new MemoryStore();
    const operations: string[] = [];
    store.before = async (operation) => {
      operations.push(operation);
      await new Promise((resolve) => setImmediate(resolve));
    };
    const ipam = ipamOf(store, 'n1', [pool('10.0.0.0/16', { blockSize: 25 })]);
    const handles = Array.from({ length: 100 }, (_, index) => `h${index}`);
    const given = await Promise.all(handles.map((handle) => ipam.assign(request(handle))));
    expect(new Set(given.flat()).size).toBe(100);
    expect(store.all(ipamBlockKind)).toHaveLength(1);
    // Confirming affinities takes updates too.
    expect(operations.filter((operation) => operation === 'update').length).toBeLessThan(12);
    operations.length = 0;
    await Promise.all(handles.map((handle) => ipam.releaseHandle(handle)));
    expect([...allocations(store).values()]).toEqual([]);
    expect(operations.filter((operation) => operation === 'update').length).toBeLessThan(12);
  });

  it.each([20261120, 5])(
    'assigns no address twice to 64 concurrent crashing allocators, and garbage collection frees leaks (seed %d)',
    async (seed) => {
      const random = seeded(seed);
      const store = new MemoryStore();
      const pools = [pool('10.0.0.0/22', { blockSize: 28 }), pool('fd00::/116', { blockSize: 124 })];
      class Crash extends Error {}
      let isCrashing = true;
      // Any operation may be delayed, and may crash before or after it takes effect.
      store.before = async () => {
        for (let turns = Math.floor(random() * 3); turns > 0; turns--)
          await new Promise((resolve) => setImmediate(resolve));
        if (isCrashing && random() < 0.02) throw new Crash();
      };
      store.after = () => {
        if (isCrashing && random() < 0.02) throw new Crash();
      };
      const live = new Map<string, string[]>();
      let crashes = 0;
      let doubles = 0;
      const check = (handle: string, addresses: string[]) => {
        for (const [other, held] of live)
          if (other !== handle && held.some((address) => addresses.includes(address))) doubles++;
        live.set(handle, addresses);
      };
      const worker = async (id: number) => {
        let ipam = ipamOf(store, `n${id % 16}`, pools);
        for (let i = 0; i < 12; i++) {
          const handle = `h${id}-${i}`;
          try {
            const attributes = { node: `n${id % 16}`, namespace: 'default', pod: handle };
            check(
              handle,
              await ipam.assign(request(handle, { attributes, families: random() < 0.5 ? [4] : [4, 6] })),
            );
            if (random() < 0.5) {
              live.delete(handle);
              await ipam.releaseHandle(handle);
            }
          } catch (error) {
            if (error instanceof IpamError) continue;
            if (!(error instanceof Crash)) throw error;
            // The process crashed: its memory is lost, and its unfinished work remains.
            crashes++;
            ipam = ipamOf(store, `n${id % 16}`, pools);
          }
        }
      };
      await Promise.all(Array.from({ length: 64 }, (_, id) => worker(id)));
      isCrashing = false;
      expect(crashes).toBeGreaterThan(50);
      expect(doubles).toBe(0);
      for (let node = 0; node < 16; node++) await store.create(nodeKind, nodeNamed(`n${node}`));
      for (const [handle, addresses] of live) await store.create(podKind, podWith(handle, addresses));
      await collect(store, audit(await readSnapshot(store)));
      const left = allocations(store);
      expect([...left.values()].filter((handle) => !live.has(handle))).toEqual([]);
      expect(left.size).toBe([...live.values()].flat().length);
      const handles = store.all(ipamHandleKind).map(({ spec }) => (spec as { handleID: string }).handleID);
      expect(handles.filter((handle) => !live.has(handle))).toEqual([]);
      expect(audit(await readSnapshot(store))).toMatchObject({
        leaks: [],
        spareHandles: [],
        spareAffinities: [],
      });
      // Every remaining affinity matches the block that it names.
      const blocks = new Map(
        (store.all(ipamBlockKind) as unknown as IPAMBlock[]).map(({ spec }) => [spec.cidr, spec.affinity]),
      );
      for (const { spec } of store.all(blockAffinityKind) as unknown as BlockAffinity[])
        expect(blocks.get(spec.cidr)).toBe(`host:${spec.node}`);
    },
  );
});

const nodeNamed = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name },
  spec: {},
  status: {},
});

/** A pod of n<first number of its name>, running at its addresses. */
const podWith = (name: string, addresses: readonly string[]) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default' },
  spec: { nodeName: `n${Number(/\d+/.exec(name)![0]) % 16}` },
  status: { phase: 'Running', podIPs: addresses.map((ip) => ({ ip })) },
});

/** Reproducible random numbers by seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
