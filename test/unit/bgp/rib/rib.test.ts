import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { attributesRejection, type ImportContext, nextHopRejection } from '../../../../bgp/policy/import.ts';
import { AttributeTable } from '../../../../bgp/rib/attribute-table.ts';
import { attributesOf, internAttributes } from '../../../../bgp/rib/attribute-values.ts';
import { PrefixTable, wireOf } from '../../../../bgp/rib/prefix-table.ts';
import { LOCAL, type Source } from '../../../../bgp/rib/source.ts';
import type { PathAttributes } from '../../../../bgp/wire/attributes.ts';
import { encodeAttributes } from '../../../../bgp/wire/encode-attributes.ts';
import { AttributeScan } from '../../../../bgp/wire/scan.ts';
import { Writer } from '../../../../bgp/wire/writer.ts';
import { formatCidr, networkOf } from '../../../../lib/cidr.ts';
import { someAttributes, TestRib } from '../../../helpers/rib.ts';

const net = '10.1.0.0/16';
const best: Partial<PathAttributes> = {
  med: 10,
  localPref: 200,
  clusterList: ['1.1.1.1'],
  originatorId: '10.0.0.1',
};

// Each path loses to the best path in exactly one step; they are in the order of the steps.
const worse: [string, Partial<PathAttributes>, Partial<Source>, RegExp][] = [
  ['LOCAL_PREF', { localPref: 199 }, {}, /higher LOCAL_PREF/],
  ['AS_PATH length', { asPath: [{ type: 2, asNumbers: [65001, 65002, 65003] }] }, {}, /shorter AS_PATH/],
  ['ORIGIN', { origin: 1 }, {}, /lower ORIGIN/],
  ['MED', { med: 11 }, {}, /lower MED/],
  ['iBGP', {}, { isIbgp: true }, /eBGP, not iBGP/],
  ['router ID', { originatorId: '10.0.0.2' }, {}, /lower router ID/],
  ['CLUSTER_LIST', { clusterList: ['1.1.1.1', '2.2.2.2'] }, {}, /shorter CLUSTER_LIST/],
  ['peer address', {}, { addressValue: 0xffffffffn }, /lower peer address/],
];

describe('the decision process', () => {
  it.each(worse)('a path that is worse only in %s loses for that reason', (_, attributes, change, reason) => {
    for (const isBestFirst of [true, false]) {
      const rib = new TestRib();
      const winner = rib.source('10.0.0.1', { isIbgp: false });
      const loser = rib.source('10.0.0.1', { isIbgp: false, ...change });
      const announce = [
        () => rib.announce(winner, net, best),
        () => rib.announce(loser, net, { ...best, ...attributes }),
      ];
      for (const run of isBestFirst ? announce : announce.reverse()) run();
      rib.decide();
      expect(rib.best(net)).toBe(winner);
      expect(rib.reason(loser, net)).toMatch(reason);
    }
  });

  it('each step outweighs all later ones', () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray(
          worse.map((_, index) => index),
          { minLength: 2 },
        ),
        (order) => {
          const rib = new TestRib();
          const rows = new Map<number, number>();
          for (const index of order) {
            const [, attributes, change] = worse[index]!;
            const source = rib.source('10.0.0.1', { isIbgp: false, ...change });
            rows.set(index, source);
            rib.announce(source, net, { ...best, ...attributes });
          }
          rib.decide();
          // Paths that lose at a later step are better.
          expect(rib.best(net)).toBe(rows.get(Math.max(...order)));
        },
      ),
    );
  });

  it('MED is not compared between different neighbouring ASs, whatever the order of arrival', () => {
    const paths: [string, number, number][] = [
      ['3.3.3.3', 5, 1],
      ['1.1.1.1', 9, 1],
      ['2.2.2.2', 7, 2],
    ];
    fc.assert(
      fc.property(fc.shuffledSubarray(paths, { minLength: 3 }), (order) => {
        const rib = new TestRib();
        for (const [address, med, as] of order)
          rib.announce(rib.source(address), net, { med, asPath: [{ type: 2, asNumbers: [as, 9] }] });
        rib.decide();
        expect(rib.sources.at(rib.best(net)!).address).toBe('2.2.2.2');
      }),
    );
  });

  it('paths that differ only in tie-breakers are multipath; rejected paths are excluded, and local ones win', () => {
    const rib = new TestRib();
    const [a, b, c] = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((address) => rib.source(address)) as [
      number,
      number,
      number,
    ];
    rib.announce(a, net);
    rib.announce(b, net);
    rib.announce(c, net, { localPref: 999 }, 'AS loop');
    rib.decide();
    expect(rib.best(net)).toBe(a);
    expect(rib.reason(b, net)).toBe('multipath (10.0.0.1 has the lower router ID)');
    expect(rib.reason(c, net)).toBe('AS loop');
    rib.announce(LOCAL, net, { localPref: 1 });
    rib.decide();
    expect(rib.best(net)).toBe(LOCAL);
    rib.withdraw(LOCAL, net);
    rib.withdraw(a, net);
    rib.decide();
    expect(rib.best(net)).toBe(b);
  });
});

describe('stale paths', () => {
  it('stay in use until they are dropped, and confirmed ones stay for good', () => {
    const rib = new TestRib();
    const peer = rib.source('10.0.0.1');
    rib.announce(peer, '10.1.0.0/16');
    rib.announce(peer, '10.2.0.0/16');
    rib.decide();
    rib.rib.markStale(peer);
    expect(rib.best('10.1.0.0/16')).toBe(peer);
    rib.announce(peer, '10.1.0.0/16');
    rib.rib.drop(peer, 'stale');
    rib.decide();
    expect([rib.best('10.1.0.0/16'), rib.best('10.2.0.0/16')]).toEqual([peer, undefined]);
    expect(rib.rib.countOf(peer)).toBe(1);
  });
});

describe('tables', () => {
  const prefix = (family: 4 | 6) =>
    fc
      .tuple(fc.bigInt(0n, family === 4 ? 0xffffffffn : (1n << 128n) - 1n), fc.nat(family === 4 ? 32 : 128))
      .map(([value, length]) => formatCidr(networkOf({ family, value, length })));

  it.each([4, 6] as const)('a prefix table of IPv%i maps text to row', (family) => {
    const operations = fc.array(
      fc.tuple(fc.boolean(), fc.oneof(prefix(family), fc.constant(family === 4 ? '0.0.0.0/0' : '::/0'))),
      { maxLength: 300 },
    );
    fc.assert(
      fc.property(operations, (list) => {
        const table = new PrefixTable(family);
        const model = new Map<string, number>();
        for (const [isAdded, text] of [...list, ...list.slice(0, list.length / 2)]) {
          const row = model.get(text);
          expect(table.findText(text)).toBe(row ?? -1);
          if (isAdded) {
            const made = table.internText(text);
            expect(made).toBe(row ?? made);
            expect([...model.entries()].some(([other, taken]) => taken === made && other !== text)).toBe(
              false,
            );
            model.set(text, made);
          } else if (row !== undefined) {
            table.release(row);
            model.delete(text);
          }
        }
        for (const [text, row] of model) {
          expect(table.text(row)).toBe(text);
          const out = new Uint8Array(20);
          expect(out.slice(0, table.write(row, out, 0))).toEqual(wireOf(text));
        }
        expect(table.size).toBe(model.size);
      }),
    );
  });

  it('equal attribute sets share one row, which lives as long as it is referenced', () => {
    const table = new AttributeTable();
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(40), fc.boolean()), { maxLength: 200 }), (list) => {
        const held: [number, number][] = [];
        for (const [med, isAdded] of list) {
          const value = {
            ...someAttributes,
            med,
            communities: Array.from({ length: med % 7 }, (_, index) => index),
          };
          if (value.communities.length === 0) delete (value as { communities?: number[] }).communities;
          if (isAdded || held.length === 0) {
            const row = internAttributes(table, value)!;
            expect(attributesOf(table, row)).toEqual(value);
            held.push([med, row]);
          } else table.release(held.splice(med % held.length, 1)[0]![1]);
          expect(new Set(held.map(([, row]) => row)).size).toBe(new Set(held.map(([one]) => one)).size);
          expect(table.size).toBe(new Set(held.map(([one]) => one)).size);
        }
        for (const [, row] of held) table.release(row);
      }),
    );
    expect(table.size).toBe(0);
  });
});

describe('import policy of the protocol', () => {
  const context: ImportContext = {
    localAs: 64512,
    globalAs: 64512,
    peerAs: 65001,
    isIbgp: false,
    identifier: 0x09090909,
    clusterId: 0x01010101,
    ownAddresses: new Set(['ac12000b']),
    allowedLocalAs: 0,
    role: undefined,
    requiresPolicy: false,
    policy: undefined,
  };
  const reject = (change: Partial<PathAttributes>, more: Partial<ImportContext> = {}) => {
    const scan = new AttributeScan();
    const writer = new Writer();
    encodeAttributes({ ...someAttributes, ...change }, writer, {
      isFourOctetAs: true,
      isIbgp: true,
      hasNextHop: false,
    });
    const bytes = writer.finish();
    expect(
      scan.scan(bytes, 0, bytes.length, {
        isIbgp: true,
        isFourOctetAs: true,
        localAs: 64512,
        globalAs: 64512,
      }),
    ).toBe(true);
    return attributesRejection(scan, { ...context, ...more });
  };
  const ibgp = { isIbgp: true, peerAs: 64512 };
  const path = (...asNumbers: number[]) => ({ asPath: [{ type: 2, asNumbers }] });

  it.each<[string, Partial<PathAttributes>, Partial<ImportContext>, RegExp]>([
    ['our AS in the AS_PATH', path(65001, 64512), {}, /AS loop/],
    ['AS 0', path(65001, 0), {}, /AS 0/],
    [
      'an AS_SET',
      {
        asPath: [
          { type: 2, asNumbers: [65001] },
          { type: 1, asNumbers: [1, 2] },
        ],
      },
      {},
      /AS_SET/,
    ],
    ['another AS than the peer’s at its start', path(65009), {}, /does not start with the peer's AS 65001/],
    ['our own originator ID', { originatorId: '9.9.9.9' }, ibgp, /originated here/],
    ['our own cluster ID', { clusterList: ['5.5.5.5', '1.1.1.1'] }, ibgp, /our cluster ID/],
    ['no policy although RFC 8212 requires one', {}, { requiresPolicy: true }, /RFC 8212/],
    ['an OTC leak from a customer', { onlyToCustomer: 65001 }, { role: 0 }, /route leak/],
    ['an OTC leak from a peer', { onlyToCustomer: 65009 }, { role: 4 }, /route leak/],
  ])('a path with %s is rejected', (_, change, more, reason) => {
    expect(reject(change, more)).toMatch(reason);
  });

  it('a normal path is used, and our AS is accepted up to the allowed number of times', () => {
    expect(reject({})).toBeUndefined();
    expect(reject(path(65001, 64512), { allowedLocalAs: 1 })).toBeUndefined();
    expect(reject({ onlyToCustomer: 65001 }, { role: 4 })).toBeUndefined();
  });

  it.each<[number[], RegExp | undefined]>([
    [[172, 18, 0, 11], /this speaker/],
    [[127, 0, 0, 1], /not a host address/],
    [[224, 0, 0, 1], /not a host address/],
    [Array<number>(16).fill(0), /not a host address/],
    [[10, 0, 0, 1], undefined],
  ])('next hop %j is rejected with %s (undefined: accepted)', (bytes, reason) => {
    const got = nextHopRejection(Uint8Array.from(bytes), context.ownAddresses);
    if (reason) expect(got).toMatch(reason);
    else expect(got).toBeUndefined();
  });
});
