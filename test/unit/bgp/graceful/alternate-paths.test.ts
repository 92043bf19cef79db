import { beforeEach, describe, expect, it } from 'vitest';
import { hasAlternatePaths } from '../../../../bgp/graceful/alternate-paths.ts';
import { TestRib } from '../../../helpers/rib.ts';

let rib: TestRib;
let [leaving, other, third] = [0, 0, 0];
beforeEach(() => {
  rib = new TestRib();
  [leaving, other, third] = [rib.source('10.0.0.1'), rib.source('10.0.0.2'), rib.source('10.0.0.3')];
});
const canLeave = (...going: number[]) =>
  hasAlternatePaths(rib.rib, leaving, (source) => source === leaving || going.includes(source));

describe('a peer can be removed without losing a route', () => {
  it('when it has no routes', () => {
    expect(canLeave()).toBe(true);
  });

  it('when every one of its prefixes has another path', () => {
    rib.announce(leaving, '10.1.0.0/16');
    rib.announce(leaving, '10.2.0.0/16');
    rib.announce(other, '10.1.0.0/16');
    expect(canLeave()).toBe(false);
    rib.announce(third, '10.2.0.0/16');
    expect(canLeave()).toBe(true);
  });

  it('not when the only other paths are of peers that also leave', () => {
    rib.announce(leaving, '10.1.0.0/16');
    rib.announce(other, '10.1.0.0/16');
    expect(canLeave(other)).toBe(false);
    rib.announce(third, '10.1.0.0/16');
    expect(canLeave(other)).toBe(true);
  });

  it('not when the other path is unusable, and its own unusable paths do not count', () => {
    rib.announce(leaving, '10.1.0.0/16');
    rib.announce(other, '10.1.0.0/16', {}, 'AS loop');
    expect(canLeave()).toBe(false);
    rib.announce(leaving, '10.1.0.0/16', {}, 'AS loop');
    expect(canLeave()).toBe(true);
  });
});
