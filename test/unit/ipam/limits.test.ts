import { describe, expect, it } from 'vitest';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import {
  blockAffinityKind,
  type IPAMBlock,
  type IPAMConfiguration,
  ipamBlockKind,
  ipamHandleKind,
  ipReservationKind,
} from '../../../datastore/schema/ipam.ts';
import { allocationsOf, assignAddress, assignNext, hasFree, newBlock, release } from '../../../ipam/block.ts';
import { faultsOf } from '../../../ipam/block-faults.ts';
import { choosePools, freeBlocks } from '../../../ipam/candidates.ts';
import { Ipam } from '../../../ipam/ipam.ts';
import { PodCidrIpam } from '../../../ipam/pod-cidr.ts';
import type { IpamView } from '../../../ipam/view.ts';
import { mustCidr } from '../../../lib/cidr.ts';
import { MemoryStore } from '../../helpers/memory-store.ts';

const apiVersion = 'projectcalico.org/v3';
const pool = (name: string, spec: object) =>
  ipPoolKind.schema.parse({ apiVersion, kind: 'IPPool', metadata: { name }, spec });
const pods = pool('pods', { cidr: '10.0.0.0/24', blockSize: 30 });
const six = pool('six', { cidr: 'fd00::/120', blockSize: 126 });
const off = pool('off', { cidr: '10.0.1.0/24', blockSize: 30, disabled: true });
const balancers = pool('balancers', { cidr: '10.0.2.0/24', blockSize: 30, allowedUses: ['LoadBalancer'] });
const tunnels = pool('tunnels', { cidr: '10.0.3.0/24', blockSize: 30, allowedUses: ['Tunnel'] });
const pools = [pods, six, off, balancers, tunnels];
const reserved = ipReservationKind.schema.parse({
  apiVersion,
  kind: 'IPReservation',
  metadata: { name: 'r' },
  spec: { reservedCIDRs: ['10.0.0.128/25'] },
});
const strict = (maxBlocksPerHost = 0): IPAMConfiguration['spec'] => ({
  strictAffinity: true,
  maxBlocksPerHost,
  autoAllocateBlocks: true,
});
const request = (handleId: string, more: object = {}) => ({
  handleId,
  attributes: { node: 'n1' },
  families: [4 as const],
  namespaceLabels: {},
  ...more,
});

function ipamOf(store: MemoryStore, node = 'n1', more: Partial<IpamView> = {}): Ipam {
  const view: IpamView = {
    pools: () => pools,
    blocks: () => store.all(ipamBlockKind) as unknown as IPAMBlock[],
    configuration: () => undefined,
    reservations: () => [reserved],
    nodeLabels: () => ({}),
    ...more,
  };
  return new Ipam({ node }, { store, view, clock: { now: () => 1_000_000, after: () => () => undefined } });
}

/** Returns all IPAM objects in the datastore. */
const left = (store: MemoryStore) => [
  ...store.all(ipamBlockKind),
  ...store.all(blockAffinityKind),
  ...store.all(ipamHandleKind),
];

describe('a request for addresses', () => {
  it.each<[string, string[], RegExp]>([
    ['outside every pool', ['192.0.2.1'], /192\.0\.2\.1 is in no enabled IPPool/],
    ['in a disabled pool', ['10.0.1.5'], /10\.0\.1\.5 is in no enabled IPPool/],
    ['in a pool for load balancers', ['10.0.2.5'], /does not list Workload in allowedUses/],
    ['in a pool for tunnels', ['10.0.3.5'], /does not list Workload in allowedUses/],
    ['that is reserved', ['10.0.0.200'], /reserved by an IPReservation/],
    ['that is malformed', ['10.0.0.1\nx'], /10\.0\.0\.1\\nx is in no enabled IPPool/],
    ['of which the second is refused', ['10.0.0.1', '10.0.1.5'], /10\.0\.1\.5 is in no enabled IPPool/],
    ['of which the IPv6 one is refused', ['10.0.0.1', 'fd01::1'], /fd01::1 is in no enabled IPPool/],
  ])('%s is refused, and leaves no block, affinity or handle', async (_, addresses, sentence) => {
    const store = new MemoryStore();
    await expect(ipamOf(store).assign(request('h', { addresses }))).rejects.toThrow(sentence);
    expect(left(store)).toEqual([]);
  });

  it('stops at maxBlocksPerHost, however many requests are concurrent (fault A8)', async () => {
    const store = new MemoryStore();
    const ipam = ipamOf(store, 'n1', { configuration: () => strict(2) });
    const asked = Array.from({ length: 20 }, (_, i) => [`10.0.0.${4 * i}`, `fd00::${(4 * i).toString(16)}`]);
    const outcomes = await Promise.allSettled(
      asked.map((addresses, i) => ipam.assign(request(`h${i}`, { addresses }))),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
    expect(store.all(ipamBlockKind)).toHaveLength(4);
    expect(store.all(ipamHandleKind)).toHaveLength(2);
    // Later requests fail for the same reason.
    await expect(ipam.assign(request('more', { addresses: ['10.0.0.100'] }))).rejects.toThrow(
      /per host block limit: node n1 has 2 of 2 IPv4 blocks/,
    );
  });

  it('releases the first family’s new block when the second family has no room', async () => {
    const store = new MemoryStore();
    const ipam = ipamOf(store, 'n1', { pools: () => [pods] });
    await expect(ipam.assign(request('h', { families: [4, 6] }))).rejects.toThrow(/no IPv6 pool qualifies/);
    expect(left(store)).toEqual([]);
  });

  it('gets no address from another node’s block while strictAffinity is on', async () => {
    const store = new MemoryStore();
    await ipamOf(store, 'n2').assign(request('other', { addresses: ['10.0.0.1'] }));
    const before = left(store).length;
    const asked = request('h', { addresses: ['10.0.0.2'] });
    await expect(ipamOf(store, 'n1', { configuration: () => strict() }).assign(asked)).rejects.toThrow(
      /10\.0\.0\.2 is in block 10\.0\.0\.0\/30 of node n2, and strictAffinity is on/,
    );
    expect(left(store)).toHaveLength(before);
    expect(await ipamOf(store, 'n1').assign(asked)).toEqual(['10.0.0.2']);
  });

  it('gets canonical addresses, in whatever form they are requested (fault A9)', async () => {
    const ipam = ipamOf(new MemoryStore());
    const addresses = ['FD00:0:0::00AB'];
    expect(await ipam.assign(request('h', { addresses }))).toEqual(['fd00::ab']);
    expect(await ipam.assign(request('h', { addresses: ['fd00::ab'] }))).toEqual(['fd00::ab']);
  });

  it('gets no address of a block that was removed before the write', async () => {
    const store = new MemoryStore();
    const ipam = ipamOf(store);
    const [first] = await ipam.assign(request('h1'));
    let isGone = false;
    store.before = async (operation) => {
      if (operation !== 'update' || isGone) return;
      isGone = true;
      for (const { metadata } of store.all(ipamBlockKind)) await store.remove(ipamBlockKind, metadata.name);
    };
    const [second] = await ipam.assign(request('h2'));
    expect(isGone).toBe(true);
    const taken = (store.all(ipamBlockKind) as unknown as IPAMBlock[]).flatMap(({ spec }) =>
      allocationsOf(spec),
    );
    expect(taken.map(({ address, handleId }) => [address, handleId])).toEqual([[second, 'h2']]);
    expect(first).toBeDefined();
  });
});

describe('named pools', () => {
  const choose = (named: readonly string[]) =>
    choosePools(pools, { family: 4, use: 'Workload', nodeLabels: {}, namespaceLabels: {}, named });

  it.each<[string[], RegExp]>([
    [['nowhere'], /requested IPPool nowhere does not exist/],
    [['__proto__'], /does not exist/],
    [['six'], /has no IPv4 addresses/],
    [['off'], /requested IPPool off is disabled/],
    [['balancers'], /does not list Workload in allowedUses/],
    [['pods', 'nowhere'], /IPPool nowhere/],
    [['x\u001b[2J'], /requested IPPool x\\u001b\[2J does not exist/],
    [Array(10_000).fill('pods') as string[], /10000 IPPools are requested, more than 100/],
  ])('%.60j are refused with a reason', (named, sentence) => {
    expect(choose(named)).toMatchObject({ ok: false, reason: expect.stringMatching(sentence) });
  });

  it('are found by name and by network, without duplicates', () => {
    expect(choose(['pods', '10.0.0.0/24', 'pods'])).toMatchObject({ ok: true, pools: [{}, {}] });
    expect(choose(['10.0.0.7/24'])).toMatchObject({ ok: true, pools: [{ metadata: { name: 'pods' } }] });
  });
});

describe('free blocks', () => {
  const wide = pool('wide', { cidr: 'fd00::/16' });
  const blocks = (reservations: readonly string[], count: number) => {
    const found: string[] = [];
    for (const cidr of freeBlocks(wide, 'n1', (one) => found.includes(one), reservations.map(mustCidr))) {
      found.push(cidr);
      if (found.length === count) break;
    }
    return found;
  };

  it('do not exist in a reserved pool of 2^106 blocks', () => {
    expect(blocks(['fd00::/16'], 1)).toEqual([]);
    expect(blocks(['fd00::/17', 'fd00:8000::/17'], 1)).toEqual([]);
  });

  it('lie outside the reserved ranges', () => {
    expect(blocks(['fd00:8000::/17', 'fd00::/18'], 2).map((cidr) => cidr.slice(0, 9))).toEqual([
      'fd00:4000',
      'fd00:4000',
    ]);
    const all = [...freeBlocks(pods, 'n1', () => false, [mustCidr('10.0.0.16/28')])];
    expect(all).toHaveLength(60);
    expect(new Set(all).size).toBe(60);
  });
});

describe('a damaged block', () => {
  const sound = newBlock('10.0.0.0/30', 'n1', 1);
  const owner = { handleId: 'h', attributes: {} };
  const wild = [-1, 4, 99, 2 ** 31, Number.MAX_SAFE_INTEGER, 3];

  it('assigns no address outside its network', () => {
    const damaged = { ...sound, unallocated: wild };
    expect(hasFree(damaged, () => false)).toBe(true);
    const next = assignNext(damaged, owner, () => false);
    expect(next?.address).toBe('10.0.0.3');
    expect(assignNext(next!.block, owner, () => false)).toBeUndefined();
    expect(faultsOf(damaged).length).toBeGreaterThan(4);
  });

  it('with too many or too few entries is read as far as it is valid', () => {
    const long = { ...sound, allocations: Array<number>(100).fill(0), attributes: [{ handle_id: 'h' }] };
    expect(allocationsOf(long)).toHaveLength(4);
    expect(release(long, () => true).addresses.every((address) => address.startsWith('10.0.0.'))).toBe(true);
    const short = { ...sound, allocations: [] };
    expect(hasFree(short, () => false)).toBe(false);
    expect(assignAddress(short, '10.0.0.1', owner)).toMatchObject({ ok: false });
    expect(faultsOf(long)).toContain('it has 100 allocations for 4 addresses');
    const wide = { ...sound, cidr: '::/0' };
    expect(allocationsOf(wide)).toEqual([]);
    expect(faultsOf(wide)[0]).toContain('4 allocations');
  });

  it('with indexes of missing attributes is readable', () => {
    const dangling = { ...sound, allocations: [7, -1, 2 ** 40, null] };
    expect(allocationsOf(dangling).map(({ handleId }) => handleId)).toEqual(['', '', '']);
  });
});

describe('a podCIDR', () => {
  const ipam = () => new PodCidrIpam('n1', () => ['10.1.0.0/24', 'fd00::/64'], []);
  it.each<[string[], RegExp]>([
    [['10.1.0.5', '10.1.0.6'], /one address of each family/],
    [['10.1.0.0'], /network, tunnel or broadcast/],
    [['10.1.0.1'], /network, tunnel or broadcast/],
    [['10.1.0.255'], /network, tunnel or broadcast/],
    [['fd00::1'], /network, tunnel or broadcast/],
    [['10.2.0.5'], /not in the podCIDR/],
  ])('does not assign %j', async (addresses, sentence) => {
    await expect(ipam().assign(request('h', { addresses }))).rejects.toThrow(sentence);
  });

  it('assigns one address per family in canonical form', async () => {
    const addresses = ['10.1.0.5', 'FD00::0A'];
    expect(await ipam().assign(request('h', { addresses }))).toEqual(['10.1.0.5', 'fd00::a']);
  });
});
