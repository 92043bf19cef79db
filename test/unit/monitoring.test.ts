import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { createMetrics } from '../../agent/serve/metrics.ts';
import { noStats } from '../../felix/dataplane/stats.ts';
import { CALICO_COUNTERS, folder, rules } from '../helpers/alert-rules.ts';
import { alertScenarios } from '../helpers/alert-scenarios.ts';
import { root } from '../helpers/lab.ts';
import { noSources, peerStatus, programs, seriesOf } from '../helpers/metrics.ts';
import { metricsDocument } from '../helpers/metrics-doc.ts';

describe('the metrics', () => {
  it('are listed in docs/metrics.md (npx vitest run --project unit test/unit/monitoring.test.ts -u)', async () => {
    await expect(metricsDocument(rules)).toMatchFileSnapshot(path.join(root, 'docs', 'metrics.md'));
  });

  it('have names that fit their types: only counters end in _total, and sizes and times are in base units', () => {
    const all = Object.values(programs()).flatMap(seriesOf);
    const wrong = all.filter(
      ({ name, type }) => (type === 'counter') !== name.endsWith('_total') && !CALICO_COUNTERS.includes(name),
    );
    expect(wrong).toEqual([]);
    expect(all.filter(({ name }) => /_(milliseconds|ms|micros|octets|kilobytes|kb)(_|$)/.test(name))).toEqual(
      [],
    );
  });

  it('with Felix’s names have Felix’s meaning', async () => {
    const at = async (sync: 'waiting' | 'resyncing' | 'in sync') => {
      const dataplane = () => ({ ...noStats, failures: 2, routes: 5, ipv6Routes: 2 });
      const metrics = createMetrics({ ...noSources, sync: () => sync, dataplane });
      metrics.observeApply(0.25);
      metrics.observeApply(0.5);
      return metrics.registry.metrics();
    };
    expect(await at('waiting')).toMatch(/^felix_resync_state 1$/m);
    expect(await at('resyncing')).toMatch(/^felix_resync_state 2$/m);
    const text = await at('in sync');
    expect(text).toMatch(/^felix_resync_state 3$/m);
    expect(text).toMatch(/^# TYPE felix_int_dataplane_failures counter\nfelix_int_dataplane_failures 2$/m);
    expect(text).toMatch(/^# TYPE felix_int_dataplane_apply_time_seconds summary$/m);
    expect(text).toMatch(/^felix_int_dataplane_apply_time_seconds_sum 0\.75$/m);
    expect(text).toMatch(/^felix_int_dataplane_apply_time_seconds_count 2$/m);
    expect(text).toMatch(/^felix_route_table_num_routes\{table="IPv4:254"\} 3$/m);
    expect(text).toMatch(/^felix_route_table_num_routes\{table="IPv6:254"\} 2$/m);
  });
});

describe('the metrics of BGP sessions', () => {
  const scrape = async (peers: ReturnType<typeof peerStatus>[], isDetailed = false) => {
    const names = new Map(peers.map(({ config }) => [config.address, `node-${config.address}`]));
    const sources = { ...noSources, peers: () => peers, nodeNames: () => names, isDetailed };
    return (await createMetrics(sources).registry.metrics()).split('\n').filter((line) => /^\w/.test(line));
  };
  // 100 nodes with both families: 99 others with two sessions each.
  const mesh = Array.from({ length: 198 }, (_, i) => peerStatus({ address: `10.0.${i >> 8}.${i & 255}` }));

  it('are two for each session of the mesh', async () => {
    const before = await scrape([]);
    const lines = await scrape(mesh);
    expect(lines.filter((line) => line.includes('peer='))).toHaveLength(2 * mesh.length);
    // Of the node as a whole, whatever the number of sessions.
    expect(lines.length - before.length).toBeLessThanOrEqual(2 * mesh.length + 10);
    expect(lines).toContain('cali_bgp_prefixes_received{family="ipv4"} 198');
    expect(lines).toContain('cali_bgp_sessions{type="node-to-node mesh",established="true"} 198');
  });

  it('are complete with CALI_BGP_METRICS=Detailed, and for peers outside the mesh', async () => {
    const detailed = (lines: string[]) => lines.filter((line) => line.startsWith('cali_bgp_peer_')).length;
    expect(detailed(await scrape(mesh, true))).toBe(16 * mesh.length);
    expect(detailed(await scrape([peerStatus({ peerType: 'global' })]))).toBe(16);
  });

  it('name the node of an address, and include BFD for peers that use it', async () => {
    const lines = await scrape([
      peerStatus(
        {
          address: '10.0.0.9',
          bfd: { receiveIntervalMs: 300, transmitIntervalMs: 300, multiplier: 3, isMultihop: false },
        },
        { bfd: 'Down', state: 'Active' },
      ),
    ]);
    expect(lines).toContain(
      'cali_bgp_peer_up{peer="10.0.0.9",peer_node="node-10.0.0.9",type="node-to-node mesh"} 0',
    );
    expect(lines).toContain('cali_bgp_peer_bfd_up{peer="10.0.0.9",peer_node="node-10.0.0.9"} 0');
  });

  it('count the peers that restart, so that forwarding to routes without a session is visible', async () => {
    const restarting = peerStatus({ address: '10.0.0.9' }, { state: 'Active', isRestarting: true });
    expect(await scrape([...mesh, restarting])).toContain('cali_bgp_peers_restarting 1');
  });

  it('contain no text that a peer chose', async () => {
    const received = (text: string) =>
      peerStatus(
        { peerType: 'global' },
        { lastNotification: `received Cease/Administrative Shutdown: ${text}` },
      );
    const [line] = (await scrape([received('back at noon')])).filter((one) => one.includes('notification='));
    expect(line).toMatch(/notification="received Cease\/Administrative Shutdown"\} 1$/);
  });

  it('add up to node counters that do not fall when a session is removed', async () => {
    let peers = [
      peerStatus({ address: '10.0.0.1' }, { updatesReceived: 10 }),
      peerStatus({ address: '10.0.0.2' }, { updatesReceived: 5 }),
    ];
    const { registry } = createMetrics({ ...noSources, peers: () => peers });
    const total = async () => {
      const text = await registry.getSingleMetricAsString('cali_bgp_updates_received_total');
      await new Promise((resolve) => setImmediate(resolve));
      return Number(text.split(' ').at(-1));
    };
    expect(await total()).toBe(15);
    peers = [peerStatus({ address: '10.0.0.2' }, { updatesReceived: 7 })];
    expect(await total()).toBe(17);
  });
});

describe('alerts and dashboard', () => {
  const known = new Set(
    Object.values(programs())
      .flatMap(seriesOf)
      .flatMap(({ name, type }) =>
        ['histogram', 'summary'].includes(type)
          ? ['', '_bucket', '_sum', '_count'].map((end) => name + end)
          : [name],
      ),
  );
  const unknown = (expression: string) =>
    [...expression.matchAll(/\b(?:cali|felix|ipam|process|nodejs)_\w+/g)]
      .map(([name]) => name)
      .filter((name) => !known.has(name));

  it.each(rules)('$alert uses existing series', ({ expr }) => {
    expect(unknown(expr)).toEqual([]);
  });

  it.each(readdirSync(folder).filter((name) => name.endsWith('.json')))('%s uses existing series', (file) => {
    const expressions = [...readFileSync(path.join(folder, file), 'utf8').matchAll(/"expr": "(.*)"/g)].map(
      ([, one]) => one!,
    );
    expect(expressions.length).toBeGreaterThan(0);
    expect(expressions.flatMap(unknown)).toEqual([]);
  });

  it('have a scenario for every alert', () => {
    expect(new Set(alertScenarios.flatMap(({ alerts }) => Object.keys(alerts)))).toEqual(
      new Set(rules.map(({ alert }) => alert)),
    );
  });
});
