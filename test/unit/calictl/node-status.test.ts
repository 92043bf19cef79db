import { describe, expect, it } from 'vitest';
import type { AgentStatus } from '../../../agent/report/status.ts';
import { exitCode, renderStatus } from '../../../calictl/node-status.ts';
import { VERSION } from '../../../lib/version.ts';

describe('calictl node status', () => {
  const since = new Date(2026, 10, 20, 9, 5, 7);
  const peer = {
    config: {
      address: '10.0.0.2',
      port: 179,
      asNumber: 64512,
      localAs: 64512,
      localAddress: '10.0.0.1',
      families: [4 as const],
      isPassive: false,
      peerType: 'node-to-node mesh' as const,
      name: 'n2',
      holdTimeSeconds: 90,
      keepaliveSeconds: undefined,
      restartTimeSeconds: 120,
      allowedLocalAs: 0,
    },
    state: 'Established',
    since: since.getTime(),
    lastError: undefined as string | undefined,
    identifier: '10.0.0.2',
    prefixesReceived: 3,
    prefixesSent: 1,
    flaps: 0,
    messagesReceived: 9,
    messagesSent: 9,
    isRestarting: false,
    lastNotification: undefined,
    localAddress: '10.0.0.1',
    families: [],
    updatesReceived: 3,
    updatesSent: 1,
    capabilities: [],
    holdTimeSeconds: 90,
    keepaliveSeconds: 30,
    queuedOctets: 0,
    malformed: undefined,
    bfd: undefined,
  };
  const status: AgentStatus = {
    node: 'n1',
    version: VERSION,
    pid: 1,
    startedAt: 0,
    notReady: [],
    bgp: {
      error: undefined,
      asNumber: 64512,
      routerId: '10.0.0.1',
      families: [4],
      isSettled: true,
      peers: [peer],
    },
    tunnels: [],
    podMtu: 1500,
    dataplane: { routes: 4, problems: [] },
    endpoints: 2,
    objects: [],
    notices: [],
    objectProblems: 0,
  };

  it('prints calicoctl’s table', () => {
    expect(renderStatus(status, 'table', new Date(2026, 10, 20, 12))).toBe(
      [
        'Cali process is running.',
        '',
        'IPv4 BGP status',
        '+--------------+-------------------+-------+----------+-------------+----------+------+',
        '| PEER ADDRESS |     PEER TYPE     | STATE |  SINCE   |    INFO     | RECEIVED | SENT |',
        '+--------------+-------------------+-------+----------+-------------+----------+------+',
        '| 10.0.0.2     | node-to-node mesh | up    | 09:05:07 | Established | 3        | 1    |',
        '+--------------+-------------------+-------+----------+-------------+----------+------+',
      ].join('\n'),
    );
    expect(exitCode(status)).toBe(0);
  });

  it('reports that BGP is on hold and why', () => {
    const onHold = 'waiting until this is corrected: BGPConfiguration node.n1: is not an object';
    const held = { ...status, bgp: { ...status.bgp, onHold } };
    expect(renderStatus(held, 'table', since)).toContain(
      `BGP is on hold, its sessions stay unchanged: ${onHold}`,
    );
    expect(renderStatus(held, 'table', since)).toContain('| 10.0.0.2 ');
    expect(exitCode(held)).toBe(1);
  });

  it('names the objects that cannot be used as stored', () => {
    const pool = { kind: 'IPPool', name: 'p', field: 'spec.cidr', reason: 'is not a network\u202e' };
    expect(
      renderStatus({ ...status, objects: [pool], objectProblems: 3 }, 'table', since)
        .split('\n')
        .slice(-3),
    ).toEqual(['Objects with faults:', '  IPPool p: spec.cidr: is not a network\\u202e', '  and 2 more']);
  });

  it('prints why a session is down, prints the date if it went down on another day, and exits with code 1', () => {
    const down = {
      ...status,
      bgp: { ...status.bgp, peers: [{ ...peer, state: 'Active', lastError: 'Connection refused' }] },
    };
    expect(renderStatus(down, 'table', new Date(2026, 10, 21))).toContain(
      '| start | 2026-11-20 | Active Connection refused |',
    );
    expect(exitCode(down)).toBe(1);
    expect(renderStatus({ ...status, bgp: { ...status.bgp, peers: [] } }, 'table', since)).toContain(
      'No IPv4 peers found.',
    );
  });
});
