import { beforeEach, describe, expect, it } from 'vitest';
import { nodeKind, podKind } from '../../../datastore/schema/core.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { type IPAMBlock, ipamBlockKind, ipamHandleKind } from '../../../datastore/schema/ipam.ts';
import { audit } from '../../../ipam/audit.ts';
import { collect, readSnapshot } from '../../../ipam/garbage.ts';
import { Ipam } from '../../../ipam/ipam.ts';
import { problemsOf } from '../../../ipam/problems.ts';
import { Suspicions } from '../../../ipam/suspicions.ts';
import { MemoryStore } from '../../helpers/memory-store.ts';

const apiVersion = 'projectcalico.org/v3';
const grace = { leakMs: 900_000, nodeMs: 60_000 };
const clock = { now: () => 1_000_000, after: () => () => undefined };

describe('garbage collection of addresses', () => {
  let store: MemoryStore;
  let suspicions: Suspicions;
  beforeEach(async () => {
    store = new MemoryStore();
    suspicions = new Suspicions();
    const metadata = { name: 'default-ipv4-ippool' };
    const spec = { cidr: '10.244.0.0/16', blockSize: 29 };
    await store.create(ipPoolKind, ipPoolKind.schema.parse({ apiVersion, kind: 'IPPool', metadata, spec }));
    for (const name of ['n1', 'n2'])
      await store.create(nodeKind, {
        apiVersion: 'v1',
        kind: 'Node',
        metadata: { name },
        spec: {},
        status: {},
      });
  });

  const ipamOf = (node: string) =>
    new Ipam(
      { node },
      {
        store,
        clock,
        view: {
          pools: () => store.all(ipPoolKind) as never,
          blocks: () => store.all(ipamBlockKind) as never,
          configuration: () => undefined,
          reservations: () => [],
          nodeLabels: () => ({}),
        },
      },
    );
  const assign = async (node: string, pod: string, more: object = {}) => {
    const attributes = { node, namespace: 'default', pod };
    const request = {
      handleId: `k8s-pod-network.${pod}`,
      attributes,
      families: [4 as const],
      namespaceLabels: {},
    };
    return (await ipamOf(node).assign({ ...request, ...more }))[0]!;
  };
  const addPod = (name: string, nodeName: string | undefined, addresses: string[], phase = 'Running') =>
    store.create(podKind, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default' },
      spec: { nodeName },
      status: { phase, podIPs: addresses.map((ip) => ({ ip })) },
    });
  const look = async () => audit(await readSnapshot(store));
  const reasons = async () => (await look()).leaks.map(({ address, reason }) => `${address}: ${reason}`);
  /** Collects garbage as a controller that looks at 0 ms and again at `ms`. */
  const collectAfter = async (ms: number) => {
    suspicions.confirm(await look(), 0, grace);
    return collect(store, suspicions.confirm(await look(), ms, grace));
  };

  it('reports why an address is unused', async () => {
    const used = await assign('n1', 'used');
    await addPod('used', 'n1', [used]);
    const gone = await assign('n1', 'gone');
    const moved = await assign('n1', 'moved');
    await addPod('moved', 'n2', []);
    const finished = await assign('n1', 'finished');
    await addPod('finished', 'n1', [finished], 'Succeeded');
    const other = await assign('n1', 'other');
    await addPod('other', 'n1', ['10.9.9.9']);
    // A pending pod without an address yet: no conclusion is possible.
    await assign('n1', 'starting');
    await addPod('starting', 'n1', [], 'Pending');
    await assign('n1', 'tunnel', { attributes: { node: 'n1', type: 'vxlanTunnelAddress' } });
    expect(await reasons()).toEqual([
      `${gone}: pod default/gone does not exist`,
      `${moved}: pod default/moved is on node n2 now`,
      `${finished}: pod default/finished has finished`,
      `${other}: pod default/other has another address`,
    ]);
  });

  it('spares a handle with at least one address in use', async () => {
    const addresses = ['10.244.9.8', '10.244.9.9'];
    await assign('n1', 'two', { addresses });
    await addPod('two', 'n1', ['10.244.9.8']);
    expect(await reasons()).toEqual([]);
  });

  it('waits for the grace period, which restarts when the address gets another owner', async () => {
    const address = await assign('n1', 'gone');
    suspicions.confirm(await look(), 0, grace);
    expect(await collect(store, suspicions.confirm(await look(), 899_999, grace))).toMatchObject({
      addresses: [],
    });
    await ipamOf('n1').releaseHandle('k8s-pod-network.gone');
    await assign('n1', 'next', { addresses: [address] });
    expect(await collect(store, suspicions.confirm(await look(), 900_000, grace))).toMatchObject({
      addresses: [],
    });
    expect((await collect(store, suspicions.confirm(await look(), 1_800_000, grace))).addresses).toEqual([
      address,
    ]);
    expect(store.all(ipamHandleKind)).toEqual([]);
  });

  it('does not free an address that another pod got between check and removal', async () => {
    const address = await assign('n1', 'gone');
    const found = await look();
    await ipamOf('n1').releaseHandle('k8s-pod-network.gone');
    await assign('n1', 'gone', { addresses: [address] });
    expect(await collect(store, found)).toMatchObject({ addresses: [] });
    expect((await look()).leaks).toHaveLength(1);
  });

  it('frees all addresses of a deleted node, except those that others borrowed', async () => {
    const own = await assign('n2', 'gone');
    const block = (store.all(ipamBlockKind) as unknown as IPAMBlock[]).find(
      ({ spec }) => spec.affinity === 'host:n2',
    )!;
    const borrowed = await assign('n1', 'borrower', {
      addresses: [`${own.split('.').slice(0, 3).join('.')}.${Number(own.split('.')[3]) + 1}`],
    });
    await addPod('borrower', 'n1', [borrowed]);
    await store.remove(nodeKind, 'n2');
    expect(await collectAfter(59_999)).toMatchObject({ addresses: [], blocks: [] });
    expect(await collectAfter(120_000)).toMatchObject({ addresses: [own] });
    const [left] = (store.all(ipamBlockKind) as unknown as IPAMBlock[]).filter(
      ({ spec }) => spec.cidr === block.spec.cidr,
    );
    expect(left!.spec.affinity).toBeUndefined();
    // The borrower ends: the block has no affinity and is empty.
    await store.remove(podKind, 'borrower');
    await ipamOf('n1').releaseHandle('k8s-pod-network.borrower');
    suspicions = new Suspicions();
    expect((await collectAfter(900_000)).blocks).toEqual([block.spec.cidr]);
  });

  it('releases empty blocks, but never the last one of a node', async () => {
    const names = Array.from({ length: 12 }, (_, index) => `p${index}`);
    for (const name of names) await assign('n1', name);
    await Promise.all(names.map((name) => addPod(name, 'n1', [])));
    expect(store.all(ipamBlockKind)).toHaveLength(2);
    const blocks = store.all(ipamBlockKind) as unknown as IPAMBlock[];
    // Addresses freed without the allocator, as another version's controller might.
    for (const block of blocks) {
      const leaks = (await look()).leaks;
      expect(leaks).toEqual([]);
      await store.update(ipamBlockKind, {
        ...block,
        spec: {
          ...block.spec,
          allocations: block.spec.allocations.map(() => null),
          attributes: [],
          unallocated: block.spec.allocations.map((_, ordinal) => ordinal),
        },
      } as never);
    }
    expect((await collectAfter(900_000)).blocks).toHaveLength(1);
    expect(store.all(ipamBlockKind)).toHaveLength(1);
  });

  it('removes handles without addresses, and names what it cannot repair', async () => {
    const address = await assign('n1', 'a');
    await addPod('a', 'n1', [address]);
    await addPod('b', 'n1', [address]);
    await addPod('stray', 'n1', ['10.244.200.200']);
    await addPod('host', 'n1', ['172.18.0.11']);
    await store.remove(ipamHandleKind, 'k8s-pod-network.a');
    await store.create(ipamHandleKind, {
      apiVersion,
      kind: 'IPAMHandle',
      metadata: { name: 'dead' },
      spec: { handleID: 'dead', block: {}, deleted: false },
    });
    expect(problemsOf(await readSnapshot(store))).toEqual([
      'handle k8s-pod-network.a has addresses but does not exist',
      `${address} is used by two pods, default/a and default/b: delete one of them`,
      '10.244.200.200 is used by pod default/stray but not allocated: delete the pod',
    ]);
    expect((await collectAfter(900_000)).handles).toContain('dead');
  });

  it('reports nothing for pods in deletion whose addresses are free or reassigned', async () => {
    const deletionTimestamp = new Date().toISOString();
    const address = await assign('n1', 'a');
    await addPod('a', 'n1', [address]);
    for (const [name, ip] of [
      ['going', address],
      ['gone', '10.244.200.200'],
    ] as const) {
      await addPod(name, 'n1', [ip]);
      await store.patch(podKind, name, { metadata: { deletionTimestamp } });
    }
    // The pod's container still runs: the address is in use.
    const held = await assign('n1', 'running');
    await addPod('running', 'n1', [held]);
    await store.patch(podKind, 'running', { metadata: { deletionTimestamp } });
    expect(problemsOf(await readSnapshot(store))).toEqual([]);
    expect((await look()).leaks).toEqual([]);
  });
});
