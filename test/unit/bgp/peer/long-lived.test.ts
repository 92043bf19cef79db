import { beforeEach, describe, expect, it } from 'vitest';
import { markLongLived } from '../../../../bgp/peer/long-lived.ts';
import { attributesOf, internAttributes } from '../../../../bgp/rib/attribute-values.ts';
import { PathFlag } from '../../../../bgp/rib/path-table.ts';
import { Community } from '../../../../bgp/wire/scan.ts';
import { someAttributes, TestRib } from '../../../helpers/rib.ts';

let rib: TestRib;
let source: number;
beforeEach(() => {
  rib = new TestRib();
  source = rib.source('10.0.0.2');
});

/** Marks every present path of the source as stale. */
function allStale(): void {
  for (const path of rib.rib.pathsOf(source))
    rib.rib.paths.flags[path] = (rib.rib.paths.flags[path] ?? 0) | PathFlag.STALE;
}
/** Returns how many communities fit beside the other attributes. */
function mostCommunities(): number {
  for (let length = 16_383; ; length--) {
    const communities = Array<number>(length).fill(1);
    const row = internAttributes(rib.attributes, { ...someAttributes, communities });
    if (row === undefined) continue;
    rib.attributes.release(row);
    return length;
  }
}
const communities = () =>
  [...rib.rib.pathsOf(source)].map(
    (path) => attributesOf(rib.attributes, rib.rib.paths.attributes[path] ?? -1).communities ?? [],
  );

describe('long-lived stale routes (RFC 9494 section 4.2)', () => {
  it('get the community LLGR_STALE beside their own, once', () => {
    rib.announce(source, '10.1.0.0/16', { communities: [0x0001_0002] });
    allStale();
    markLongLived(rib.rib, source);
    markLongLived(rib.rib, source);
    expect(communities()).toEqual([[0x0001_0002, Community.LLGR_STALE]]);
  });

  it('with NO_LLGR are removed', () => {
    rib.announce(source, '10.1.0.0/16', { communities: [Community.NO_LLGR] });
    rib.announce(source, '10.2.0.0/16');
    allStale();
    markLongLived(rib.rib, source);
    expect(communities()).toEqual([[Community.LLGR_STALE]]);
  });

  it('are only the stale ones, of this peer', () => {
    const other = rib.source('10.0.0.3');
    rib.announce(source, '10.1.0.0/16');
    allStale();
    rib.announce(source, '10.2.0.0/16', { communities: [Community.NO_LLGR] });
    rib.announce(other, '10.3.0.0/16');
    markLongLived(rib.rib, source);
    expect(communities()).toEqual([[Community.LLGR_STALE], [Community.NO_LLGR]]);
    expect(rib.rib.countOf(other)).toBe(1);
  });

  it('without room for the mark are removed, because unmarked they would count as fresh', () => {
    rib.announce(source, '10.1.0.0/16', {
      communities: Array.from({ length: mostCommunities() }, (_, i) => i),
    });
    rib.announce(source, '10.2.0.0/16');
    allStale();
    markLongLived(rib.rib, source);
    expect(communities()).toEqual([[Community.LLGR_STALE]]);
  });

  it('lose against every other path', () => {
    const other = rib.source('10.0.0.3');
    rib.announce(source, '10.1.0.0/16', { localPref: 500 });
    rib.announce(other, '10.1.0.0/16', { localPref: 1 });
    allStale();
    markLongLived(rib.rib, source);
    rib.decide();
    expect(rib.best('10.1.0.0/16')).toBe(other);
  });
});
