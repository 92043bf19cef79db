import { beforeEach, describe, expect, it } from 'vitest';
import type { PeerConfig, PrefixLimit } from '../../../../bgp/peer/config.ts';
import { Inbound } from '../../../../bgp/peer/inbound.ts';
import { encodeUpdate, endOfRib, type OutgoingUpdate } from '../../../../bgp/wire/update.ts';
import { WireError } from '../../../../bgp/wire/wire-error.ts';
import { silentLog } from '../../../../lib/log.ts';
import { ManualClock } from '../../../helpers/manual-clock.ts';
import { senderContext } from '../../../helpers/relay.ts';
import { someAttributes, TestRib } from '../../../helpers/rib.ts';
import { negotiatedSession } from '../../../helpers/session.ts';

const encoding = { isFourOctetAs: true, isIbgp: true };
const negotiated = { ...negotiatedSession, families: [4, 6] as const };

let rib: TestRib;
let source: number;
let clock: ManualClock;
let limit: PrefixLimit | undefined;
let allowedLocalAs: number;
let [settled, released, refreshes] = [0, 0, 0];
let updatesReceived: number;
let inbound: Inbound;
beforeEach(() => {
  [rib, clock, limit, allowedLocalAs] = [new TestRib(), new ManualClock(), undefined, 0];
  [settled, released, refreshes] = [0, 0, 0];
  source = rib.source('10.0.0.2');
  const counters = { updatesReceived: 0 };
  inbound = new Inbound(source, {
    ribs: rib.ribs,
    clock,
    log: silentLog,
    config: () => ({ families: [4, 6], name: 'p', prefixLimit: limit }) as unknown as PeerConfig,
    context: () => ({ ...senderContext, source, allowedLocalAs, maxPrefixes: dropAt() }),
    negotiated: () => negotiated,
    counters,
    send: () => refreshes++,
    hard: (body) => ({ ...body, data: Uint8Array.of(9) }),
    ribChanged: () => {
      updatesReceived = counters.updatesReceived;
    },
    released: () => released++,
    settled: () => settled++,
  });
});
const dropAt = () => (limit?.action === 'Drop' ? limit.limit : undefined);

const deliver = (update: Partial<OutgoingUpdate>) =>
  inbound.deliver(encodeUpdate({ ...endOfRib(4), ...update }, encoding));
const announce = (...prefixes: string[]) =>
  deliver({
    attributes: someAttributes,
    nlri: prefixes.map((prefix) => ({ prefix, pathId: undefined })),
  });
const prefixes = () =>
  [...rib.rib.pathsOf(source)].map((path) => rib.rib.prefixes.text(rib.rib.paths.prefix[path] ?? -1)).sort();

describe('routes from a peer', () => {
  it('are stored and withdrawn as its UPDATEs say', () => {
    inbound.sessionUp(negotiated);
    announce('10.1.0.0/16', '10.2.0.0/16');
    deliver({ withdrawn: [{ prefix: '10.1.0.0/16', pathId: undefined }] });
    expect([prefixes(), updatesReceived]).toEqual([['10.2.0.0/16'], 2]);
  });

  it('are removed when the session ends, and retained when it ends gracefully', () => {
    inbound.sessionUp(negotiated);
    announce('10.1.0.0/16');
    inbound.sessionDown(true);
    expect([prefixes(), inbound.isKeeping]).toEqual([['10.1.0.0/16'], true]);
    clock.advance(120_000);
    expect([prefixes(), inbound.isKeeping, released]).toEqual([[], false, 1]);
    inbound.sessionUp(negotiated);
    announce('10.1.0.0/16');
    inbound.sessionDown(false);
    expect([prefixes(), inbound.isKeeping]).toEqual([[], false]);
  });

  it('of an earlier session that the peer does not send again go with End-of-RIB', () => {
    inbound.sessionUp(negotiated);
    announce('10.1.0.0/16', '10.2.0.0/16');
    inbound.sessionDown(true);
    inbound.sessionUp(negotiated);
    announce('10.2.0.0/16');
    expect(prefixes()).toEqual(['10.1.0.0/16', '10.2.0.0/16']);
    deliver({});
    expect(prefixes()).toEqual(['10.2.0.0/16']);
  });

  it('are judged again when the settings change', () => {
    inbound.sessionUp(negotiated);
    deliver({
      attributes: { ...someAttributes, asPath: [{ type: 2, asNumbers: [64_512] }] },
      nlri: [{ prefix: '10.1.0.0/16', pathId: undefined }],
    });
    const [path = -1] = rib.rib.pathsOf(source);
    expect(rib.rib.isUsable(path)).toBe(false);
    allowedLocalAs = 1;
    inbound.reconfigured(negotiated);
    expect(rib.rib.isUsable(path)).toBe(true);
  });
});

describe('the initial update of a peer', () => {
  it('is complete after End-of-RIB of every family, once', () => {
    inbound.sessionUp(negotiated);
    expect(inbound.awaitsEndOfRib).toBe(true);
    deliver({});
    expect([inbound.awaitsEndOfRib, settled]).toEqual([true, 0]);
    inbound.deliver(encodeUpdate(endOfRib(6), encoding));
    deliver({});
    expect([inbound.awaitsEndOfRib, settled]).toEqual([false, 1]);
  });

  it('is not awaited from a peer without graceful restart', () => {
    inbound.sessionUp({ ...negotiated, peerRestart: undefined });
    expect(inbound.awaitsEndOfRib).toBe(false);
  });
});

describe('a malformed UPDATE', () => {
  it('is counted with its reason, also over several sessions, and its routes are withdrawn', () => {
    inbound.sessionUp(negotiated);
    announce('10.1.0.0/16');
    deliver({
      attributes: { ...someAttributes, origin: 9 },
      nlri: [{ prefix: '10.1.0.0/16', pathId: undefined }],
    });
    expect(inbound.malformed).toMatchObject({ count: 1, lastReason: expect.stringContaining('ORIGIN') });
    expect(prefixes()).toEqual([]);
    inbound.sessionDown(false);
    expect(inbound.malformed?.count).toBe(1);
  });
});

describe('the limit on prefixes', () => {
  it('that restarts ends the session with a NOTIFICATION without graceful restart', () => {
    limit = { limit: 1, action: 'Restart', warningPercent: 100 };
    inbound.sessionUp(negotiated);
    announce('10.1.0.0/16');
    let error: unknown;
    try {
      announce('10.2.0.0/16');
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(WireError);
    expect(error).toMatchObject({ notification: { code: 6, subcode: 1, data: Uint8Array.of(9) } });
  });

  it('that drops keeps the first routes, and requests the others when there is room', () => {
    limit = { limit: 1, action: 'Drop', warningPercent: 100 };
    inbound.sessionUp(negotiated);
    announce('10.1.0.0/16', '10.2.0.0/16');
    expect(prefixes()).toEqual(['10.1.0.0/16']);
    expect(inbound.warning).toContain('IPv4 routes above 1 are dropped');
    deliver({ withdrawn: [{ prefix: '10.1.0.0/16', pathId: undefined }] });
    clock.advance(1_000);
    expect([refreshes, inbound.warning]).toEqual([1, undefined]);
  });

  it('without a limit checks nothing', () => {
    inbound.sessionUp(negotiated);
    announce('10.1.0.0/16', '10.2.0.0/16');
    expect(inbound.warning).toBeUndefined();
  });
});
