import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { reportOf } from '../../../calictl/ipam.ts';
import { releaseAddress, releaseReports } from '../../../calictl/release.ts';
import { clusterInformationKind } from '../../../datastore/schema/cluster.ts';
import { nodeKind, podKind } from '../../../datastore/schema/core.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { ipamBlockKind, ipamHandleKind } from '../../../datastore/schema/ipam.ts';
import { readSnapshot } from '../../../ipam/garbage.ts';
import { addToHandle } from '../../../ipam/handle.ts';
import { blockOf, podHolder } from '../../helpers/blocks.ts';
import { MemoryApi } from '../../helpers/memory-store.ts';
import { ipPool } from '../../helpers/objects.ts';

const CIDR = '10.0.0.0/26';

let store: MemoryApi;
let folder: string;
beforeEach(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'cali-release-'));
  store = new MemoryApi();
  await store.create(ipPoolKind, ipPool('10.0.0.0/24'));
  await store.create(nodeKind, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' }, spec: {} });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Writes a block of n1 whose addresses, from 10.0.0.0 on, have these holders, and their handles. */
async function hold(...holders: ReturnType<typeof podHolder>[]): Promise<void> {
  await store.create(ipamBlockKind, blockOf('n1', CIDR, ...holders));
  for (const [handle] of holders) if (handle !== '') await addToHandle(store, handle, { [CIDR]: 1 });
}
const pod = (name: string, ip: string) =>
  store.create(podKind, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: { nodeName: 'n1' },
    status: { phase: 'Running', podIP: ip, podIPs: [{ ip }] },
  });
const used = async () => {
  const block = await store.get(ipamBlockKind, '10-0-0-0-26');
  return block?.spec.allocations.flatMap((index, ordinal) => (index === null ? [] : [ordinal]));
};
const handles = () => store.all(ipamHandleKind).map(({ metadata }) => metadata.name);

describe('calictl ipam release --ip', () => {
  it('frees a leaked address and its handle', async () => {
    await hold(podHolder('gone'));
    expect(await releaseAddress(store, '10.0.0.0', false)).toBe('Successfully released IP address 10.0.0.0');
    expect([await used(), handles()]).toEqual([[], []]);
  });

  it('keeps the handle while it has another address', async () => {
    await hold(podHolder('gone'), podHolder('gone'));
    await releaseAddress(store, '10.0.0.1', false);
    expect([await used(), handles()]).toEqual([[0], ['gone']]);
  });

  it('frees the address of a running pod only with --force', async () => {
    await hold(podHolder('a'));
    await pod('a', '10.0.0.0');
    await expect(releaseAddress(store, '10.0.0.0', false)).rejects.toThrow(
      '10.0.0.0 is used by pod default/a: delete it first, or use --force',
    );
    expect(await used()).toEqual([0]);
    await releaseAddress(store, '10.0.0.0', true);
    expect(await used()).toEqual([]);
  });

  it('names the owner of an address that is not of a pod, as far as the block knows it', async () => {
    await hold(['t', { node: 'n1', type: 'vxlanTunnelAddress' }], ['', {}]);
    await expect(releaseAddress(store, '10.0.0.0', false)).rejects.toThrow(
      'is used by vxlanTunnelAddress on n1: delete',
    );
    const error = await releaseAddress(store, '10.0.0.1', false).catch(String);
    expect(error).not.toContain('undefined');
  });

  it('frees an address without a handle', async () => {
    await hold(['', {}]);
    expect(await releaseAddress(store, '10.0.0.0', true)).toContain('Successfully released');
    expect(await used()).toEqual([]);
  });

  it('fails for an address that is free, and for text that is not an address', async () => {
    await expect(releaseAddress(store, '10.0.0.0', true)).rejects.toThrow('10.0.0.0 is not assigned');
    await expect(releaseAddress(store, 'x', true)).rejects.toThrow('invalid IP address');
  });

  it('frees nothing when the address got a new owner meanwhile', async () => {
    await hold(podHolder('gone'));
    let reads = 0;
    store.before = async (operation) => {
      if (operation !== 'get' || reads++ > 0) return;
      await store.remove(ipamBlockKind, '10-0-0-0-26');
      await store.create(ipamBlockKind, blockOf('n1', CIDR, podHolder('new')));
    };
    expect(await releaseAddress(store, '10.0.0.0', false)).toBe(
      'IP address 10.0.0.0 has a new owner: nothing was released',
    );
    expect(await used()).toEqual([0]);
  });
});

describe('calictl ipam release --from-report', () => {
  const file = (name: string, value: unknown) => {
    const full = path.join(folder, name);
    writeFileSync(full, typeof value === 'string' ? value : JSON.stringify(value));
    return full;
  };
  const report = async (name: string) => file(name, await reportOf(store, await readSnapshot(store)));

  it('frees only what every report names, although more leaked since', async () => {
    await hold(podHolder('a'), podHolder('b'));
    const first = await report('first');
    await pod('b', '10.0.0.1');
    const second = await report('second');
    // From now on b is a leak too, but only the first report says so.
    await store.remove(podKind, 'b');
    const { text, failures } = await releaseReports(store, [first, second]);
    expect([text, failures]).toEqual(['Released 1 address, 1 handle, 0 affinities, 0 blocks; 0 errors.', []]);
    expect([await used(), handles()]).toEqual([[1], ['b']]);
  });

  it('keeps an address that was freed and assigned again since the report', async () => {
    await hold(podHolder('a'));
    const before = await report('before');
    await store.remove(ipamBlockKind, '10-0-0-0-26');
    const again = blockOf('n1', CIDR, podHolder('x'), podHolder('a'));
    await store.create(ipamBlockKind, again);
    await releaseReports(store, [before]);
    expect(await used()).toEqual([0, 1]);
  });

  it('releases nothing a second time', async () => {
    await hold(podHolder('a'));
    const one = await report('one');
    await releaseReports(store, [one]);
    expect((await releaseReports(store, [one])).text).toMatch(/^Released 0 addresses, 0 handles/);
  });

  it('counts no handle for an address without one', async () => {
    await hold(['', { node: 'n1', namespace: 'default', pod: 'gone' }]);
    const { text } = await releaseReports(store, [await report('one')]);
    expect(text).toMatch(/^Released 1 address, 0 handles/);
  });

  it('refuses reports of another cluster', async () => {
    const here = await report('here');
    await store.create(clusterInformationKind, {
      apiVersion: 'projectcalico.org/v3',
      kind: 'ClusterInformation',
      metadata: { name: 'default' },
      spec: { clusterGUID: 'other' },
    });
    await expect(releaseReports(store, [here])).rejects.toThrow(`${here}: from another cluster`);
  });

  it.each([
    ['{', 'cannot be read'],
    ['{}', 'is not a report of `calictl ipam check -o FILE` (clusterGUID)'],
    [{ clusterGUID: '', found: { leaks: [{ address: 5 }] } }, '(found.leaks[0].address)'],
  ])('refuses a file with %j', async (content, sentence) => {
    const wrong = file('wrong', content);
    await expect(releaseReports(store, [wrong])).rejects.toThrow(sentence);
  });
});
