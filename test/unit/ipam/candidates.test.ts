import { describe, expect, it } from 'vitest';
import { choosePools, freeBlocks, type PoolRequest } from '../../../ipam/candidates.ts';
import { mustCidr } from '../../../lib/cidr.ts';
import { ipPool } from '../../helpers/objects.ts';

const request: PoolRequest = {
  family: 4,
  use: 'Workload',
  nodeLabels: { rack: 'a' },
  namespaceLabels: { team: 'blue' },
};
/** Returns the names of the chosen pools, or the reason why there are none. */
function chosen(pools: Parameters<typeof choosePools>[0], more: Partial<PoolRequest> = {}) {
  const choice = choosePools(pools, { ...request, ...more });
  return choice.ok ? choice.pools.map(({ metadata }) => metadata.name) : choice.reason;
}
const deleted = (() => {
  const pool = ipPool('10.4.0.0/16', {}, 'deleted');
  return { ...pool, metadata: { ...pool.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } };
})();

describe('the pools that serve a request', () => {
  it('are in the order of their names', () => {
    expect(chosen([ipPool('10.1.0.0/16', {}, 'b'), ipPool('10.2.0.0/16', {}, 'a')])).toEqual(['a', 'b']);
  });

  it.each<[string, object]>([
    ['is disabled', { disabled: true }],
    ['is assigned by name only', { assignmentMode: 'Manual' }],
    ['serves tunnels only', { allowedUses: ['Tunnel'] }],
    ['selects other nodes', { nodeSelector: 'rack == "b"' }],
    ['selects other namespaces', { namespaceSelector: 'team == "red"' }],
  ])('exclude one that %s', (_, spec) => {
    expect(chosen([ipPool('10.1.0.0/16', spec, 'no'), ipPool('10.2.0.0/16', {}, 'yes')])).toEqual(['yes']);
  });

  it('exclude one of the other family, and one that is being deleted', () => {
    expect(chosen([ipPool('fd00::/48', {}, 'six'), deleted, ipPool('10.2.0.0/16', {}, 'yes')])).toEqual([
      'yes',
    ]);
    expect(chosen([deleted])).toMatch(/^no IPv4 pool qualifies: none of the 1 IPPools .* selects this node/);
  });

  it('include one whose selectors match the node and the namespace', () => {
    const pool = ipPool(
      '10.1.0.0/16',
      { nodeSelector: 'rack == "a"', namespaceSelector: 'team == "blue"' },
      'p',
    );
    expect(chosen([pool])).toEqual(['p']);
  });
});

describe('the pools that a request names', () => {
  const pools = [
    ipPool('10.1.0.0/16', { nodeSelector: 'rack == "b"', assignmentMode: 'Manual' }, 'by-name'),
    ipPool('10.2.0.0/16', { disabled: true }, 'disabled'),
    ipPool('10.3.0.0/16', { allowedUses: ['Tunnel'] }, 'tunnels'),
    ipPool('fd00::/48', {}, 'six'),
    ipPool('10.5.0.0/16', {}, 'other'),
    deleted,
  ];
  const named = (...names: string[]) => chosen(pools, { named: names });

  it('are found by name or network, in the order of the request, whatever they select', () => {
    expect(named('other', 'by-name', 'other')).toEqual(['other', 'by-name']);
    expect(named('10.1.0.0/16')).toEqual(['by-name']);
  });

  it.each([
    ['missing', 'requested IPPool missing does not exist'],
    ['disabled', 'requested IPPool disabled is disabled'],
    ['deleted', 'requested IPPool deleted is being deleted'],
    ['six', 'requested IPPool six (fd00::/48) has no IPv4 addresses'],
    ['tunnels', 'requested IPPool tunnels does not list Workload in allowedUses'],
  ])('are refused with the reason when one of them is unusable: %s', (name, reason) => {
    expect(named('other', name)).toBe(reason);
  });

  it('are at most 100', () => {
    expect(named(...Array.from({ length: 101 }, (_, i) => `p${i}`))).toBe(
      '101 IPPools are requested, more than 100',
    );
  });
});

describe('the free blocks of a pool', () => {
  const pool = ipPool('10.1.0.0/24', { blockSize: 26 });
  const all = ['10.1.0.0/26', '10.1.0.64/26', '10.1.0.128/26', '10.1.0.192/26'];
  const blocks = (node: string, taken: readonly string[] = [], reserved: readonly string[] = []) => [
    ...freeBlocks(pool, node, (cidr) => taken.includes(cidr), reserved.map(mustCidr)),
  ];

  it('are all of them, once each, from a start that depends on the node', () => {
    const starts = new Set<string | undefined>();
    for (let n = 0; n < 40; n++) {
      const found = blocks(`n${n}`);
      starts.add(found[0]);
      expect(found.toSorted()).toEqual(all.toSorted());
      const first = all.indexOf(found[0] ?? '');
      expect(found).toEqual([...all.slice(first), ...all.slice(0, first)]);
    }
    expect(starts.size).toBe(4);
  });

  it('exclude those that are taken, and those inside a reservation', () => {
    expect(blocks('n1', ['10.1.0.64/26']).toSorted()).toEqual(all.filter((one) => one !== all[1]).toSorted());
    for (let n = 0; n < 40; n++)
      expect(blocks(`n${n}`, [], ['10.1.0.64/26', '10.1.0.128/25']).toSorted()).toEqual([all[0]]);
  });

  it('include a block of which only a part is reserved', () => {
    expect(blocks('n1', [], ['10.1.0.64/27']).toSorted()).toEqual(all.toSorted());
  });

  it('are none when a reservation covers the pool, and that takes no time in a large one', () => {
    const large = ipPool('fd00::/16', { blockSize: 122 });
    const begin = performance.now();
    expect([...freeBlocks(large, 'n1', () => false, [mustCidr('fd00::/8')])]).toEqual([]);
    expect(performance.now() - begin).toBeLessThan(1000);
  });
});
