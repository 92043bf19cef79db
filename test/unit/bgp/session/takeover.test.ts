import { describe, expect, it } from 'vitest';
import { PendingLimit } from '../../../../bgp/peer/pending-limit.ts';
import { Probe } from '../../../../bgp/peer/probe.ts';
import { type Newcomer, type Running, takeover, type Verdict } from '../../../../bgp/session/takeover.ts';
import { parseTcpInfo, type TcpInfo } from '../../../../bgp/transport/tcp-info.ts';

const newcomer: Newcomer = { isOutgoing: false, isProven: false, isSurvivor: false, waitedMs: 0 };
const established: Running = {
  state: 'Established',
  isProven: false,
  hasRestart: true,
  isSimultaneous: false,
  evidence: 'none',
};
const opening: Running = { ...established, state: 'OpenConfirm', hasRestart: false, isSimultaneous: true };

describe('an OPEN on a second connection', () => {
  const cases: [string, Partial<Newcomer>, Partial<Running>, Verdict][] = [
    ['waits while the session is being probed', {}, {}, 'wait'],
    ['is refused when the session answers the probe', {}, { evidence: 'answered' }, 'refuse'],
    ['replaces a session that does not answer the probe', {}, { evidence: 'silent' }, 'replace'],
    [
      'replaces a silent session even without graceful restart',
      {},
      { evidence: 'silent', hasRestart: false },
      'replace',
    ],
    ['is refused when the probe stays inconclusive for long', { waitedMs: 10_000 }, {}, 'refuse'],
    ['replaces the session at once when the newcomer is proven', { isProven: true }, {}, 'replace'],
    [
      'waits although the newcomer is proven, when the session has no graceful restart',
      { isProven: true },
      { hasRestart: false },
      'wait',
    ],
    [
      'is decided by the identifiers when both sides connected at once and the newcomer is proven',
      { isProven: true },
      { isSimultaneous: true },
      'refuse',
    ],
    [
      'replaces a simultaneous session that loses by the identifiers, when the newcomer is proven',
      { isProven: true, isSurvivor: true },
      { isSimultaneous: true },
      'replace',
    ],
    [
      'gives the peer time to close the session that loses by the identifiers',
      { isSurvivor: true, waitedMs: 1_999 },
      { isSimultaneous: true, evidence: 'answered' },
      'wait',
    ],
    [
      'is refused when the peer keeps the losing session anyway',
      { isSurvivor: true, waitedMs: 2_000 },
      { isSimultaneous: true, evidence: 'answered' },
      'refuse',
    ],
  ];
  it.each(cases)('%s', (_, change, running, verdict) => {
    expect(takeover({ ...newcomer, ...change }, { ...established, ...running })).toBe(verdict);
  });
});

describe('of two connections that open at once (RFC 4271 section 6.8)', () => {
  const cases: [string, Partial<Newcomer>, Partial<Running>, Verdict][] = [
    ['the incoming one is refused when the outgoing one is preferred', {}, {}, 'refuse'],
    [
      'the outgoing one replaces an incoming one when it is preferred',
      { isOutgoing: true, isSurvivor: true },
      {},
      'replace',
    ],
    [
      'a proven incoming one replaces the outgoing one when it is preferred',
      { isProven: true, isSurvivor: true },
      {},
      'replace',
    ],
    ['an unproven incoming one waits for the peer to close the other', { isSurvivor: true }, {}, 'wait'],
    [
      'an unproven incoming one proceeds next to the other after a while',
      { isSurvivor: true, waitedMs: 2_000 },
      {},
      'admit',
    ],
    [
      'the outgoing one is refused when a proven incoming one is preferred',
      { isOutgoing: true },
      { isProven: true },
      'refuse',
    ],
    [
      'the outgoing one waits for an unproven incoming one that is preferred',
      { isOutgoing: true },
      {},
      'wait',
    ],
    [
      'the outgoing one proceeds when the preferred one is not established soon',
      { isOutgoing: true, waitedMs: 2_000 },
      {},
      'admit',
    ],
  ];
  it.each(cases)('%s', (_, change, running, verdict) => {
    expect(takeover({ ...newcomer, ...change }, { ...opening, ...running })).toBe(verdict);
  });
});

describe('a probe of a session', () => {
  const quiet: TcpInfo = { unacknowledged: 1, unsent: 0, retransmits: 0, sinceAckMs: 5_000, received: 100n };
  /** Returns the probe's evidence after some time, with these changes in tcp_info. */
  const evidence = (ageMs: number, after: Partial<TcpInfo> | undefined, bytesRead = 7) => {
    let now = 1_000;
    const connection = {
      tcpInfo: after && quiet,
      bytesRead: 7,
    } as { tcpInfo: TcpInfo | undefined; bytesRead: number };
    const probe = new Probe(connection, () => now);
    now += ageMs;
    connection.tcpInfo = after && { ...quiet, ...after };
    connection.bytesRead = bytesRead;
    return probe.evidence;
  };
  it.each([
    ['an acknowledged KEEPALIVE shows life', 40, { unacknowledged: 0, sinceAckMs: 5 }, 'answered'],
    ['received octets show life', 40, { received: 119n }, 'answered'],
    [
      'acknowledgements of a peer that does not read show life',
      900,
      { unacknowledged: 0, unsent: 19, sinceAckMs: 300 },
      'answered',
    ],
    ['an acknowledgement from before the probe shows nothing', 40, { sinceAckMs: 45 }, 'none'],
    [
      'a KEEPALIVE that was not yet sent shows nothing',
      40,
      { unacknowledged: 0, unsent: 19, sinceAckMs: 5_000 },
      'none',
    ],
    ['silence of less than three seconds shows nothing', 2_900, { retransmits: 3 }, 'none'],
    ['silence without retransmissions shows nothing', 3_500, { retransmits: 1 }, 'none'],
    ['silence despite retransmissions shows death', 3_000, { retransmits: 2 }, 'silent'],
  ] as const)('%s', (_, age, info, expected) => {
    expect(evidence(age, info)).toBe(expected);
  });

  it('without TCP_INFO, only received octets show life', () => {
    expect([evidence(60_000, undefined), evidence(5, undefined, 26)]).toEqual(['none', 'answered']);
  });

  it('reads struct tcp_info', () => {
    const bytes = new Uint8Array(148);
    const view = new DataView(bytes.buffer);
    view.setUint8(2, 3);
    view.setUint32(24, 5, true);
    view.setUint32(56, 7, true);
    view.setBigUint64(128, 11n, true);
    view.setUint32(144, 13, true);
    expect(parseTcpInfo(bytes)).toEqual({
      retransmits: 3,
      unacknowledged: 5,
      sinceAckMs: 7,
      received: 11n,
      unsent: 13,
    });
    expect(parseTcpInfo(bytes.subarray(0, 104))).toBeUndefined();
  });
});

describe('the number of pending connections', () => {
  const queue = (limits: { perPeer: number; total: number }) => {
    const limit = new PendingLimit(limits);
    const evicted: string[] = [];
    const add = (name: string, peer: string, hasOpen = false) => {
      const connection = {
        peer,
        hasOpen,
        evict() {
          evicted.push(name);
          limit.delete(connection);
        },
      };
      return limit.add(connection);
    };
    return { limit, add, evicted };
  };

  it('is limited per peer: the oldest one without an OPEN is closed first', () => {
    const { limit, add, evicted } = queue({ perPeer: 3, total: 100 });
    add('spoke', 'a', true);
    add('first', 'a');
    add('second', 'a');
    add('other peer', 'b');
    add('third', 'a');
    add('fourth', 'a');
    expect(evicted).toEqual(['first', 'second']);
    expect(limit.size).toBe(4);
  });

  it('is limited per peer: a new one is refused when all others have sent an OPEN', () => {
    const { limit, add, evicted } = queue({ perPeer: 2, total: 100 });
    expect([add('one', 'a', true), add('two', 'a', true), add('three', 'a')]).toEqual([true, true, false]);
    expect([evicted, limit.size]).toEqual([[], 2]);
  });

  it('is limited in total: a new one is refused when all others have sent an OPEN', () => {
    const { limit, add, evicted } = queue({ perPeer: 3, total: 2 });
    add('one', 'a', true);
    add('two', 'b', true);
    expect(add('three', 'c', true)).toBe(false);
    expect([evicted, limit.size]).toEqual([[], 2]);
  });
});
