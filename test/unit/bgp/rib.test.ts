import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exportAttributes } from '../../../bgp/policy/export.ts';
import { importRejection } from '../../../bgp/policy/import.ts';
import { AdjRibOut } from '../../../bgp/rib/adj-rib-out.ts';
import { decide } from '../../../bgp/rib/decision.ts';
import { localSource, type Path } from '../../../bgp/rib/path.ts';
import { Rib } from '../../../bgp/rib/rib.ts';
import type { PathAttributes } from '../../../bgp/wire/attributes.ts';
import { encodeMessage } from '../../../bgp/wire/message.ts';
import { mustCidr } from '../../../lib/cidr.ts';

const attributes: PathAttributes = {
  origin: 0,
  asPath: [{ type: 2, asNumbers: [65001, 65002] }],
  nextHop: '10.0.0.1',
  med: 10,
  localPref: 200,
  clusterList: ['1.1.1.1'],
};
const path = (
  change: { attributes?: Partial<PathAttributes>; source?: Partial<Path['source']>; rejection?: string } = {},
): Path => ({
  source: { peer: 'p1', isIbgp: false, identifier: '10.0.0.1', address: '10.0.0.1', ...change.source },
  attributes: { ...attributes, ...change.attributes },
  isStale: false,
  rejection: change.rejection,
});

// The best path, and others that are each worse by exactly one step, in the order of the steps.
const best = path();
const worse: [string, Path, RegExp][] = [
  ['LOCAL_PREF', path({ attributes: { localPref: 199 } }), /higher LOCAL_PREF/],
  [
    'AS_PATH length',
    path({ attributes: { asPath: [{ type: 2, asNumbers: [65001, 65002, 65003] }] } }),
    /shorter AS_PATH/,
  ],
  ['ORIGIN', path({ attributes: { origin: 1 } }), /lower ORIGIN/],
  ['MED', path({ attributes: { med: 11 } }), /lower MED/],
  ['iBGP', path({ source: { isIbgp: true } }), /eBGP over iBGP/],
  ['router ID', path({ source: { identifier: '10.0.0.2' } }), /lower router ID/],
  ['CLUSTER_LIST', path({ attributes: { clusterList: ['1.1.1.1', '2.2.2.2'] } }), /shorter CLUSTER_LIST/],
  ['peer address', path({ source: { address: '10.0.0.2' } }), /lower peer address/],
];

describe('the decision process', () => {
  it.each(worse)('a path that is worse in %s alone loses for that reason', (_, loser, reason) => {
    for (const order of [
      [best, loser],
      [loser, best],
    ]) {
      const decision = decide(order);
      expect(decision.best).toBe(best);
      expect(decision.losers.get(loser)).toMatch(reason);
    }
  });

  it('each step outweighs all later ones', () => {
    const all = [best, ...worse.map(([, loser]) => loser)];
    fc.assert(
      fc.property(fc.shuffledSubarray(all, { minLength: 1 }), (paths) => {
        // Those that lose at a later step are better; MED compares within one neighbouring AS, which all have.
        const rank = (one: Path) => (one === best ? 99 : all.indexOf(one));
        const expected = [...paths].sort((a, b) => rank(b) - rank(a))[0];
        expect(decide(paths).best).toBe(expected);
      }),
    );
  });

  it('MED between different neighbouring ASs counts for nothing, whatever the order of arrival', () => {
    const a = path({
      attributes: { med: 5, asPath: [{ type: 2, asNumbers: [1, 9] }] },
      source: { identifier: '3.3.3.3' },
    });
    const b = path({
      attributes: { med: 9, asPath: [{ type: 2, asNumbers: [1, 9] }] },
      source: { identifier: '1.1.1.1' },
    });
    const c = path({
      attributes: { med: 7, asPath: [{ type: 2, asNumbers: [2, 9] }] },
      source: { identifier: '2.2.2.2' },
    });
    for (const order of [
      [a, b, c],
      [c, b, a],
      [b, a, c],
      [b, c, a],
    ])
      expect(decide(order).best).toBe(c);
  });

  it('paths that are equal but for tie-breakers are multipath', () => {
    const other = path({
      source: { peer: 'p2', identifier: '10.0.0.2', address: '10.0.0.2' },
      attributes: { nextHop: '10.0.0.2' },
    });
    expect(decide([other, best]).multipath).toEqual([best, other]);
  });

  it('a rejected path is no candidate, and a local one wins', () => {
    const rejected = path({ attributes: { localPref: 999 }, rejection: 'AS loop' });
    expect(decide([rejected, best])).toMatchObject({ best });
    expect(decide([rejected]).best).toBeUndefined();
    expect(decide([rejected]).losers.get(rejected)).toBe('AS loop');
    const local = { ...path({ attributes: { localPref: 1 } }), source: localSource };
    expect(decide([best, local]).best).toBe(local);
  });
});

describe('the RIB', () => {
  it('keeps stale paths in use until they are dropped, and refreshed ones for good', () => {
    const rib = new Rib();
    rib.receive('p1', '10.1.0.0/16', path());
    rib.receive('p1', '10.2.0.0/16', path());
    rib.decideChanged();
    rib.markStale('p1', [4]);
    expect(rib.lookup('10.1.0.0/16').best).toBeDefined();
    rib.receive('p1', '10.1.0.0/16', path());
    rib.drop('p1', 'stale');
    expect(rib.decideChanged().map(({ prefix, decision }) => [prefix, decision.best !== undefined])).toEqual([
      ['10.1.0.0/16', true],
      ['10.2.0.0/16', false],
    ]);
    expect(rib.receivedCount('p1')).toBe(1);
  });

  it('reports a prefix once per turn however often it changed', () => {
    const rib = new Rib();
    for (let i = 0; i < 5; i++) rib.receive('p1', '10.1.0.0/16', path({ attributes: { med: i } }));
    expect(rib.decideChanged()).toHaveLength(1);
    expect(rib.decideChanged()).toHaveLength(0);
  });
});

describe('Adj-RIB-Out', () => {
  it('sends the difference, packed, in messages of at most 4,096 octets', () => {
    const out = new AdjRibOut();
    for (let i = 0; i < 3000; i++) out.want(`10.${Math.floor(i / 256)}.${i % 256}.0/24`, attributes);
    const updates = [...out.drain()];
    expect(updates.flatMap(({ nlri }) => nlri)).toHaveLength(3000);
    expect(updates.length).toBeLessThan(6);
    for (const update of updates)
      expect(
        encodeMessage({ type: 'update', ...update }, { isFourOctetAs: true, isIbgp: true }).length,
      ).toBeLessThanOrEqual(4096);
    out.want('10.0.0.0/24', { ...attributes });
    expect(out.hasPending).toBe(false);
    out.want('10.0.0.0/24', undefined);
    out.want('10.0.1.0/24', undefined);
    out.want('10.0.1.0/24', attributes);
    expect([...out.drain()]).toMatchObject([{ withdrawn: ['10.0.0.0/24'], nlri: [] }]);
    expect(out.size).toBe(2999);
  });
});

describe('policy', () => {
  const context = {
    localAs: 64512,
    peerAs: 65001,
    isIbgp: false,
    identifier: '9.9.9.9',
    ownAddresses: new Set(['172.18.0.11']),
    allowedLocalAs: 0,
  };
  it.each<[string, Partial<PathAttributes>, RegExp]>([
    ['our AS in the path', { asPath: [{ type: 2, asNumbers: [65001, 64512] }] }, /AS loop/],
    ['AS 0', { asPath: [{ type: 2, asNumbers: [65001, 0] }] }, /AS 0/],
    [
      'a path that starts elsewhere',
      { asPath: [{ type: 2, asNumbers: [65009] }] },
      /does not start with the peer's AS 65001/,
    ],
    ['our own originator ID', { originatorId: '9.9.9.9' }, /originated here/],
    ['ourselves as next hop', { nextHop: '172.18.0.11' }, /is this node/],
    ['a next hop that is no host', { nextHop: '127.0.0.1' }, /is no host/],
  ])('%s is not used', (_, change, reason) => {
    expect(importRejection({ ...attributes, ...change }, context)).toMatch(reason);
  });
  it('an ordinary path is used, and our AS as often as is allowed', () => {
    expect(importRejection(attributes, context)).toBeUndefined();
    const looped = { ...attributes, asPath: [{ type: 2, asNumbers: [65001, 64512] }] };
    expect(importRejection(looped, { ...context, allowedLocalAs: 1 })).toBeUndefined();
  });

  const out = {
    peer: 'p2',
    localAs: 64512,
    isIbgp: true,
    families: [4 as const],
    nextHopSelf: { 4: '172.18.0.11' },
    transit: [mustCidr('10.244.0.0/16')],
  };
  const own: Path = {
    source: localSource,
    attributes: { origin: 0, asPath: [], nextHop: '172.18.0.11' },
    isStale: false,
    rejection: undefined,
  };
  it('own prefixes go to iBGP peers with LOCAL_PREF, to eBGP peers with our AS and without it', () => {
    expect(exportAttributes('10.244.1.0/26', own, out)).toMatchObject({
      nextHop: '172.18.0.11',
      localPref: 100,
      asPath: [],
    });
    const external = exportAttributes('10.244.1.0/26', own, { ...out, isIbgp: false });
    expect(external).toMatchObject({ nextHop: '172.18.0.11', asPath: [{ type: 2, asNumbers: [64512] }] });
    expect(external?.localPref).toBeUndefined();
  });
  it('iBGP routes do not go to iBGP peers, nothing goes back to its sender, and nothing outside the pools goes on', () => {
    const internal = path({ source: { isIbgp: true } });
    expect(exportAttributes('10.244.1.0/26', internal, out)).toBeUndefined();
    expect(exportAttributes('10.244.1.0/26', path(), { ...out, peer: 'p1' })).toBeUndefined();
    expect(exportAttributes('10.244.1.0/26', path(), out)).toMatchObject({ nextHop: '10.0.0.1' });
    expect(exportAttributes('0.0.0.0/0', path(), out)).toBeUndefined();
    expect(exportAttributes('fd00::/64', own, out)).toBeUndefined();
  });
});
