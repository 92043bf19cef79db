import { beforeEach, describe, expect, it } from 'vitest';
import type { PeerConfig, PrefixLimit } from '../../../../bgp/peer/config.ts';
import { PrefixLimiter } from '../../../../bgp/peer/prefix-limit.ts';
import type { Family } from '../../../../lib/cidr.ts';
import { silentLog } from '../../../../lib/log.ts';
import { ManualClock } from '../../../helpers/manual-clock.ts';

let clock: ManualClock;
let counts: Record<Family, number>;
let requests: Family[];
let warnings: string[];
let limit: PrefixLimit | undefined;
let hasRefresh: boolean;
let limiter: PrefixLimiter;
beforeEach(() => {
  clock = new ManualClock();
  clock.advance(1_000_000);
  counts = { 4: 0, 6: 0 };
  [requests, warnings, hasRefresh] = [[], [], true];
  limit = { limit: 10, action: 'Drop', warningPercent: 80 };
  limiter = new PrefixLimiter({
    clock,
    log: { ...silentLog, warn: (_: object, message: string) => void warnings.push(message) },
    config: () => ({ families: [4, 6], name: 'p', prefixLimit: limit }) as unknown as PeerConfig,
    count: (family) => counts[family],
    requestRefresh: (family) => {
      if (hasRefresh) requests.push(family);
      return hasRefresh;
    },
  });
});

describe('a limit on prefixes', () => {
  it('that restarts ends the session above the limit, not at it, and counts families separately', () => {
    limit = { limit: 10, action: 'Restart', warningPercent: 80 };
    counts = { 4: 10, 6: 10 };
    expect(limiter.check([])).toBeUndefined();
    counts[6] = 11;
    expect(limiter.check([])).toBe('the peer announces more than 10 prefixes, the limit in BGPPeer p');
  });

  it('warns once near the limit, and again after the count fell', () => {
    counts[4] = 8;
    limiter.check([]);
    limiter.check([]);
    counts[4] = 7;
    limiter.check([]);
    counts[4] = 8;
    limiter.check([]);
    expect(warnings).toEqual(['prefix count near its limit', 'prefix count near its limit']);
  });

  it('that warns only reports that it is exceeded', () => {
    limit = { limit: 10, action: 'Warn', warningPercent: 80 };
    counts[4] = 11;
    expect(limiter.check([])).toBeUndefined();
    expect(warnings).toEqual(['prefix limit exceeded']);
    expect(limiter.warning).toBeUndefined();
  });

  it('does not exist without the setting', () => {
    limit = undefined;
    counts[4] = 1_000_000;
    expect(limiter.check([4])).toBeUndefined();
    expect([warnings, limiter.warning]).toEqual([[], undefined]);
  });
});

describe('dropped routes', () => {
  const drop = (...families: Family[]) => {
    counts[4] = 10;
    limiter.check(families);
  };

  it('are a warning to the operator until they are requested again', () => {
    drop(4);
    expect(limiter.warning).toMatch(/^IPv4 routes above 10 are dropped \(maxPrefixes of BGPPeer p\)/);
    counts[4] = 9;
    limiter.fetchLater();
    clock.advance(1_000);
    expect([requests, limiter.warning]).toEqual([[4], undefined]);
  });

  it('are not requested while there is no room', () => {
    drop(4);
    limiter.fetchLater();
    clock.advance(600_000);
    expect(requests).toEqual([]);
  });

  it('are requested once after a burst of withdrawals', () => {
    drop(4);
    for (counts[4] = 9; counts[4] > 0; counts[4]--) {
      limiter.fetchLater();
      clock.advance(10);
    }
    clock.advance(1_000);
    expect(requests).toEqual([4]);
  });

  it('are requested ever less often while the peer keeps exceeding the limit, and soon again after calm', () => {
    const times: number[] = [];
    const cycle = () => {
      drop(4);
      counts[4] = 9;
      limiter.fetchLater();
      const before = clock.now();
      while (clock.next !== undefined) clock.advance(100);
      times.push(clock.now() - before);
    };
    for (let n = 0; n < 8; n++) cycle();
    expect(times).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    clock.advance(600_001);
    times.length = 0;
    cycle();
    expect(times).toEqual([1_000]);
  });

  it('are requested at once when the limit is raised or removed', () => {
    drop(4);
    limit = { limit: 20, action: 'Drop', warningPercent: 80 };
    limiter.reconfigured();
    expect(requests).toEqual([4]);
    drop(4, 6);
    limit = undefined;
    limiter.reconfigured();
    expect(requests).toEqual([4, 4, 6]);
  });

  it('are forgotten when the session ends', () => {
    drop(4);
    counts[4] = 0;
    limiter.fetchLater();
    limiter.reset();
    clock.advance(600_000);
    expect([requests, limiter.warning]).toEqual([[], undefined]);
  });

  it('of a peer without route refresh stay a warning, which is logged ever less often', () => {
    hasRefresh = false;
    drop(4);
    warnings = [];
    counts[4] = 9;
    for (let second = 0; second < 600; second++) {
      limiter.check([]);
      clock.advance(1_000);
    }
    expect(limiter.warning).toBeDefined();
    const logged = warnings.filter((message) => message.includes('does not support route refresh'));
    expect(logged.length).toBeGreaterThan(0);
    expect(logged.length).toBeLessThan(20);
  });
});
