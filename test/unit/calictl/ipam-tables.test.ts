import { beforeEach, describe, expect, it } from 'vitest';
import {
  configure,
  findAddress,
  problemCount,
  renderCheck,
  reportOf,
  showAddress,
  showBorrowed,
  showConfiguration,
  showPools,
} from '../../../calictl/ipam.ts';
import { nodeKind, podKind } from '../../../datastore/schema/core.ts';
import { ipPoolKind } from '../../../datastore/schema/ip-pool.ts';
import { type IPAMBlock, ipamBlockKind, ipReservationKind } from '../../../datastore/schema/ipam.ts';
import { readSnapshot } from '../../../ipam/garbage.ts';
import { blockOf, podHolder } from '../../helpers/blocks.ts';
import { MemoryApi } from '../../helpers/memory-store.ts';
import { ipPool } from '../../helpers/objects.ts';

let store: MemoryApi;
beforeEach(async () => {
  store = new MemoryApi();
  await store.create(ipPoolKind, ipPool('10.0.0.0/24'));
});

const add = (...blocks: IPAMBlock[]) => Promise.all(blocks.map((one) => store.create(ipamBlockKind, one)));
const reserve = (name: string, ...reservedCIDRs: string[]) =>
  store.create(ipReservationKind, {
    apiVersion: 'projectcalico.org/v3',
    kind: 'IPReservation',
    metadata: { name },
    spec: { reservedCIDRs },
  });
/** Returns the cells of the rows of a table. */
const rows = (table: string) =>
  table
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(1)
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );

describe('calictl ipam show', () => {
  it('lists pools, and with --show-blocks the blocks of each by address', async () => {
    await add(
      blockOf('n1', '10.0.0.128/26', podHolder('a')),
      blockOf('n2', '10.0.0.64/26', podHolder('b'), podHolder('c')),
      blockOf('n2', '10.9.0.0/26', podHolder('outside')),
    );
    expect(rows(await showPools(store, false))).toEqual([
      ['IP Pool', '10.0.0.0/24', '256', '3 (1%)', '0 (0%)', '253 (99%)'],
    ]);
    expect(rows(await showPools(store, true)).slice(1)).toEqual([
      ['Block', '10.0.0.64/26', '64', '2 (3%)', '0 (0%)', '62 (97%)'],
      ['Block', '10.0.0.128/26', '64', '1 (2%)', '0 (0%)', '63 (98%)'],
    ]);
  });

  it('counts an address that several reservations contain once', async () => {
    await reserve('one', '10.0.0.0/28', '10.0.0.4', '10.0.0.4/32');
    await reserve('two', '10.0.0.0/28', '10.0.0.8/29', '10.1.0.0/16');
    expect(rows(await showPools(store, false))).toEqual([
      ['IP Pool', '10.0.0.0/24', '256', '0 (0%)', '16 (6%)', '240 (94%)'],
    ]);
  });

  it('counts an address that is both reserved and in use once', async () => {
    await add(blockOf('n1', '10.0.0.0/26', podHolder('a'), podHolder('b')));
    await reserve('first', '10.0.0.0/31');
    expect(rows(await showPools(store, false))).toEqual([
      ['IP Pool', '10.0.0.0/24', '256', '2 (1%)', '2 (1%)', '254 (99%)'],
    ]);
  });

  it('shows a pool inside a reservation as reserved in full', async () => {
    await reserve('all', '10.0.0.0/8');
    expect(rows(await showPools(store, false))).toEqual([
      ['IP Pool', '10.0.0.0/24', '256', '0 (0%)', '256 (100%)', '0 (0%)'],
    ]);
  });

  it('rounds the size of an IPv6 pool to five digits, and reservations of IPv4 do not count in it', async () => {
    await store.create(ipPoolKind, ipPool('fd00::/64', {}, 'six'));
    await reserve('four', '0.0.0.0/0');
    expect(rows(await showPools(store, false))[1]).toEqual([
      ...['IP Pool', 'fd00::/64', '18447000000000000000', '0 (0%)', '0 (0%)', '18447000000000000000 (100%)'],
    ]);
  });

  it('--show-borrowed lists addresses in blocks of another node or of none', async () => {
    await add(
      blockOf('n2', '10.0.0.0/26', podHolder('a', 'n1'), podHolder('own', 'n2')),
      blockOf(undefined, '10.0.0.64/26', ['t', { node: 'n1', type: 'ipipTunnelAddress' }]),
    );
    expect(rows(await showBorrowed(store))).toEqual([
      ['10.0.0.0', 'n1', '10.0.0.0/26', 'n2', 'pod', 'default/a'],
      ['10.0.0.64', 'n1', '10.0.0.64/26', '(none)', 'ipipTunnelAddress', ''],
    ]);
  });

  it('--ip shows the owner, whatever the spelling of the address', async () => {
    await add(blockOf('n1', 'fd00::/122', podHolder('a')), blockOf(undefined, '10.0.0.0/26', ['', {}]));
    const text = await showAddress(store, 'FD00:0::');
    expect(text).toBe(
      [
        'IP fd00:: is in use',
        'Handle ID: a',
        'Attributes:',
        '  node: n1',
        '  namespace: default',
        '  pod: a',
        'Block: fd00::/122 of n1',
      ].join('\n'),
    );
    expect(await showAddress(store, '10.0.0.0')).toBe(
      'IP 10.0.0.0 is in use\nHandle ID: <none>\nNo attributes defined\nBlock: 10.0.0.0/26 of no node',
    );
    expect(await showAddress(store, '10.0.0.1')).toBe('10.0.0.1 is not assigned');
    expect(() => findAddress([], '10.0.0.0/24')).toThrow('invalid IP address "10.0.0.0/24"');
  });
});

describe('calictl ipam configure', () => {
  it('creates the configuration with the defaults of Calico, and then changes only what is named', async () => {
    expect(rows(await showConfiguration(store))).toEqual([
      ['StrictAffinity', 'false'],
      ['AutoAllocateBlocks', 'true'],
      ['MaxBlocksPerHost', '0'],
    ]);
    expect(await configure(store, { maxBlocksPerHost: 4 })).toBe('Successfully set MaxBlocksPerHost to: 4');
    await configure(store, { strictAffinity: true });
    expect(rows(await showConfiguration(store))).toEqual([
      ['StrictAffinity', 'true'],
      ['AutoAllocateBlocks', 'true'],
      ['MaxBlocksPerHost', '4'],
    ]);
  });
});

describe('calictl ipam check', () => {
  const node = (name: string) =>
    store.create(nodeKind, { apiVersion: 'v1', kind: 'Node', metadata: { name }, spec: {} });

  it('finds nothing in an empty cluster', async () => {
    const snapshot = await readSnapshot(store);
    const report = await reportOf(store, snapshot);
    expect(problemCount(report)).toBe(0);
    expect(renderCheck(snapshot, report, true)).toBe(
      [
        '0 blocks with 0 addresses in use; 0 handles; 0 pods on 0 nodes.',
        'Addresses per node: at most 0, median 0.',
        '',
        'Check complete; found 0 problems.',
      ].join('\n'),
    );
  });

  it('lists each kind of finding under its own title and counts all of them', async () => {
    await node('n1');
    await add(
      blockOf('n1', '10.0.0.0/26', podHolder('gone'), ['', { node: 'n1' }]),
      blockOf('deleted', '10.0.0.64/26'),
    );
    await store.create(podKind, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', namespace: 'default' },
      spec: { nodeName: 'n1' },
      status: { phase: 'Running', podIP: '10.0.0.9', podIPs: [{ ip: '10.0.0.9' }] },
    });
    const snapshot = await readSnapshot(store);
    const report = await reportOf(store, snapshot);
    const text = renderCheck(snapshot, report, true);
    expect(text).toMatch(/^Addresses per node: at most 2, median 2\.$/m);
    expect(text).toMatch(/\nAddresses in use:\n {2}10\.0\.0\.0 default\/gone\n {2}10\.0\.0\.1\n/);
    expect(text).toMatch(/\nLeaked addresses:\n {2}10\.0\.0\.0 .* \(handle gone\)\n/);
    expect(text).toMatch(/\nBlocks of nodes that do not exist:\n {2}10\.0\.0\.64\/26 of node deleted\n/);
    expect(text).toMatch(/\nOther problems:\n.*10\.0\.0\.9/s);
    const listed = text.match(/^ {2}/gm)?.length ?? 0;
    expect(problemCount(report)).toBe(listed - 2);
    expect(text.endsWith(`Check complete; found ${listed - 2} problems.`)).toBe(true);
    expect(renderCheck(snapshot, report, false)).not.toContain('Addresses in use:');
  });
});
