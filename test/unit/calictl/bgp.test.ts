import { describe, expect, it } from 'vitest';
import type { PeerStatus } from '../../../bgp/peer/config.ts';
import type { PathView } from '../../../bgp/routes-view.ts';
import { renderNeighbor, renderPeers, renderRoutes } from '../../../calictl/bgp.ts';

type Segments = PathView['attributes']['asPath'];

function row(asPath: Segments, origin: 0 | 1 | 2): string | undefined {
  const attributes = { origin, asPath, nextHop: '10.0.0.2', localPref: 100 };
  const path = {
    from: '10.0.0.2',
    pathId: 0,
    attributes,
    isUsable: true,
    isBest: true,
    isStale: false,
    reason: 'best',
  };
  const table = renderRoutes([{ prefix: '10.1.0.0/24', paths: [path] }]).split('\n');
  const from = table[0]!.indexOf('AS PATH');
  return table[1]?.slice(from, table[0]!.indexOf('WHY')).trimEnd();
}

it.each<[string, Segments, 0 | 1 | 2, RegExp]>([
  ['shows an empty path as empty, and the origin in its own column', [], 0, /^ +IGP$/],
  ['shows a sequence as numbers', [{ type: 2, asNumbers: [65001, 65002] }], 2, /^65001 65002 +incomplete$/],
  ['shows a set in braces', [{ type: 1, asNumbers: [65001, 65002] }], 1, /^\{65001 65002\} +EGP$/],
  ['shows a confederation in parentheses', [{ type: 3, asNumbers: [65001] }], 0, /^\(65001\) +IGP$/],
])('calictl bgp routes %s', (_, asPath, origin, text) => {
  expect(row(asPath, origin)).toMatch(text);
});

describe('on a terminal of 80 columns, calictl', () => {
  const widest = (text: string) => Math.max(...text.split('\n').map(({ length }) => length));
  const reason =
    'the peer says AS 65001, configured is AS 64512: correct asNumber of the BGPPeer, or the AS of the node';
  const status: PeerStatus = {
    config: {
      address: '172.18.0.12',
      port: 179,
      asNumber: 64512,
      localAs: 64512,
      localAddress: '172.18.0.11',
      families: [4],
      isPassive: false,
      peerType: 'node-to-node mesh',
      name: 'node2',
      holdTimeSeconds: 90,
      keepaliveSeconds: undefined,
      restartTimeSeconds: 120,
      allowedLocalAs: 0,
    },
    state: 'Established',
    since: 0,
    lastError: undefined,
    identifier: '172.18.0.12',
    prefixesReceived: 3,
    prefixesSent: 1,
    flaps: 0,
    messagesReceived: 9,
    messagesSent: 9,
    isRestarting: false,
    lastNotification: undefined,
    localAddress: '172.18.0.11',
    families: [],
    updatesReceived: 3,
    updatesSent: 1,
    capabilities: [
      'multiprotocol IPv4',
      'route refresh',
      'graceful restart (120 s)',
      '4-octet AS',
      'add-path',
    ],
    holdTimeSeconds: 90,
    keepaliveSeconds: 30,
    queuedOctets: 0,
    malformed: undefined,
    bfd: undefined,
  };
  const down: PeerStatus = { ...status, state: 'Active', lastError: reason };

  it('bgp peers omits the counts of routes', () => {
    expect(renderPeers([status], 1_000)).toMatch(/RECEIVED +ACCEPTED +BEST +ADVERTISED +FLAPS +INFO\n/);
    expect(renderPeers([status], 1_000, 80)).toBe(
      [
        'PEER          AS      TYPE                STATE         FOR   INFO',
        '172.18.0.12   64512   node-to-node mesh   Established   1s',
      ].join('\n'),
    );
  });

  it('bgp peers lists long reasons below the table', () => {
    const text = renderPeers([status, down], 1_000, 80);
    expect(widest(text)).toBeLessThanOrEqual(80);
    expect(text.split('\n').slice(0, 4)).toEqual([
      'PEER          AS      TYPE                STATE         FOR',
      '172.18.0.12   64512   node-to-node mesh   Established   1s',
      '172.18.0.12   64512   node-to-node mesh   Active        1s',
      '  172.18.0.12: the peer says AS 65001, configured is AS 64512: correct asNumber',
    ]);
    expect(text.replace(/\n +/g, ' ')).toContain(reason);
  });

  it('bgp neighbor folds long lines, and omits columns that repeat the peer', () => {
    const refused = {
      from: '172.18.0.12',
      pathId: 0,
      attributes: { origin: 0 as const, asPath: [], nextHop: '172.18.0.12', localPref: 100 },
      isUsable: false,
      isBest: false,
      isStale: false,
      reason: 'in no IPPool and no service range: nodes of the mesh announce nothing else',
    };
    const report = { peer: status, received: [{ prefix: '10.244.0.0/26', ...refused }], advertised: [] };
    expect(renderNeighbor(report, 1_000)).toContain(`   ${refused.reason}\n`);
    const text = renderNeighbor(report, 1_000, 80);
    expect(widest(text)).toBeLessThanOrEqual(80);
    expect(text).toMatch(
      /^ +RECEIVED +NEXT HOP +AS PATH +RESULT\nx +10\.244\.0\.0\/26 +172\.18\.0\.12 +in no IPPool/m,
    );
    expect(text).toMatch(/^Capabilities: +multiprotocol IPv4, .*,\n {20}\S/m);
  });
});
