import { Registry } from 'prom-client';
import { beforeEach, describe, expect, it } from 'vitest';
import { type BgpMetricSources, registerBgpMetrics } from '../../../../agent/speaker/metrics.ts';
import type { PeerStatus } from '../../../../bgp/peer/config.ts';
import { rejectionKinds } from '../../../../bgp/policy/rejection.ts';
import { peerStatus } from '../../../helpers/metrics.ts';

let peers: PeerStatus[];
let turns: (() => void)[];
let now: number;
beforeEach(() => {
  [peers, turns, now] = [[], [], 0];
});

function register(more: Partial<BgpMetricSources> = {}): Registry {
  const registry = new Registry();
  const time = { now: () => now, turn: (callback: () => void) => void turns.push(callback) };
  registerBgpMetrics(registry, { peers: () => peers, routes: () => 0, time, ...more });
  return registry;
}
/** Returns the samples of a series: labels in braces and the value. */
async function samples(registry: Registry, name: string): Promise<string[]> {
  const text = await registry.getSingleMetricAsString(name);
  for (const end of turns.splice(0)) end();
  return text
    .split('\n')
    .filter((line) => !line.startsWith('#') && line !== '')
    .map((line) => line.slice(name.length));
}

const mesh = (address: string, more: Partial<PeerStatus> = {}) => peerStatus({ address }, more);
const other = (address: string, more: Partial<PeerStatus> = {}) =>
  peerStatus({ address, peerType: 'global' }, more);

describe('series of a session', () => {
  it('name the node of the peer, if it is one', async () => {
    peers = [mesh('10.0.0.2'), other('10.0.0.9', { state: 'Idle' })];
    const registry = register({ nodeNames: () => new Map([['10.0.0.2', 'n2']]) });
    expect(await samples(registry, 'cali_bgp_peer_up')).toEqual([
      '{peer="10.0.0.2",peer_node="n2",type="node-to-node mesh"} 1',
      '{peer="10.0.0.9",peer_node="",type="global"} 0',
    ]);
  });

  it('that a mesh would multiply exist for other sessions, and for all only in detail', async () => {
    peers = [mesh('10.0.0.2', { messagesSent: 1 }), other('10.0.0.9', { messagesSent: 2 })];
    const name = 'cali_bgp_peer_messages_sent_total';
    expect(await samples(register(), name)).toEqual(['{peer="10.0.0.9",peer_node=""} 2']);
    expect(await samples(register({ isDetailed: true }), name)).toHaveLength(2);
  });

  it('exist once while a peer and its successor have the same address', async () => {
    peers = [mesh('10.0.0.2', { isRetiring: true, flaps: 9 }), mesh('10.0.0.2', { flaps: 1 })];
    expect(await samples(register(), 'cali_bgp_peer_flaps_total')).toEqual([
      '{peer="10.0.0.2",peer_node=""} 1',
    ]);
  });

  it('about BFD exist only where BFD is configured', async () => {
    const bfd = { receiveIntervalMs: 300, transmitIntervalMs: 300, multiplier: 3, isMultihop: false };
    peers = [
      mesh('10.0.0.2', { bfd: 'Up' }),
      peerStatus({ address: '10.0.0.3', bfd }, { bfd: 'Up' }),
      peerStatus({ address: '10.0.0.4', bfd }, { bfd: 'Down' }),
    ];
    expect(await samples(register(), 'cali_bgp_peer_bfd_up')).toEqual([
      '{peer="10.0.0.3",peer_node=""} 1',
      '{peer="10.0.0.4",peer_node=""} 0',
    ]);
  });

  it('have an uptime only while the session is established', async () => {
    now = 90_000;
    peers = [other('10.0.0.8', { since: 30_000 }), other('10.0.0.9', { since: 30_000, state: 'Idle' })];
    expect(await samples(register(), 'cali_bgp_peer_uptime_seconds')).toEqual([
      '{peer="10.0.0.8",peer_node=""} 60',
      '{peer="10.0.0.9",peer_node=""} 0',
    ]);
  });

  it('have no label with text that the peer chose', async () => {
    peers = [other('10.0.0.9', { lastNotification: 'Cease/Administrative Shutdown: bye: 12345' })];
    expect(await samples(register(), 'cali_bgp_peer_last_notification_info')).toEqual([
      '{peer="10.0.0.9",peer_node="",notification="Cease/Administrative Shutdown"} 1',
    ]);
  });
});

describe('sums over all sessions', () => {
  it('do not fall when a session is removed, and count a new one from zero', async () => {
    const registry = register();
    const total = () => samples(registry, 'cali_bgp_updates_received_total');
    peers = [mesh('10.0.0.2', { updatesReceived: 5 }), mesh('10.0.0.3', { updatesReceived: 7 })];
    expect(await total()).toEqual([' 12']);
    peers = [mesh('10.0.0.2', { updatesReceived: 6 })];
    expect(await total()).toEqual([' 13']);
    peers.push(mesh('10.0.0.3', { updatesReceived: 1 }));
    expect(await total()).toEqual([' 14']);
  });

  it('are zero without sessions', async () => {
    const registry = register();
    expect(await samples(registry, 'cali_bgp_queued_bytes_max')).toEqual([' 0']);
    expect(await samples(registry, 'cali_bgp_routes_too_long')).toEqual([' 0']);
  });

  it('have refused paths by family and class of reason, with zeros for the rest', async () => {
    const refused = [
      { kind: 'filter', reason: 'one', count: 2, examples: [] },
      { kind: 'filter', reason: 'other', count: 1, examples: [] },
    ] as const;
    const families = mesh('10.0.0.2').families.map((one) => (one.family === 6 ? { ...one, refused } : one));
    peers = [mesh('10.0.0.2', { families }), mesh('10.0.0.3', { families })];
    const lines = await samples(register(), 'cali_bgp_paths_refused');
    expect(lines.filter((line) => !line.endsWith(' 0'))).toEqual(['{family="ipv6",reason="filter"} 6']);
    expect(lines).toHaveLength(2 * rejectionKinds.length);
  });
});

it('a scrape asks for the peers once, and the next one again', async () => {
  let questions = 0;
  const registry = register({
    peers: () => {
      questions++;
      return peers;
    },
  });
  await registry.metrics();
  expect(questions).toBe(1);
  for (const end of turns.splice(0)) end();
  await registry.metrics();
  expect(questions).toBe(2);
});
