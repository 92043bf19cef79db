/** Prometheus metrics: Felix's names where Felix has one (Calico reference 7.1), `cali_` otherwise. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { PeerStatus } from '../bgp/peer-config.ts';
import type { ObjectProblem } from '../datastore/object-problem.ts';
import type { DataplaneStats } from '../felix/dataplane/dataplane.ts';
import { type BgpMetrics, registerBgpMetrics } from './bgp-metrics.ts';

export interface MetricSources {
  readonly peers: () => readonly PeerStatus[];
  readonly learnedRoutes: () => number;
  readonly dataplane: () => DataplaneStats;
  readonly endpoints: () => number;
  readonly isSynced: () => boolean;
  readonly ribPrefixes: () => number;
  /** Objects that cannot be used as they are. */
  readonly objects: () => readonly ObjectProblem[];
}

export interface Metrics extends BgpMetrics {
  readonly registry: Registry;
  readonly observeCni: (command: string, seconds: number, isOk: boolean) => void;
}

export function createMetrics(sources: MetricSources): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  gauge('felix_active_local_endpoints', 'Workload endpoints on this node', sources.endpoints);
  gauge('felix_resync_state', '1 while the datastore is in sync', () => Number(sources.isSynced()));
  gauge(
    'felix_int_dataplane_apply_time_seconds',
    'Duration of the last dataplane apply',
    () => sources.dataplane().lastApplySeconds,
  );
  gauge(
    'felix_int_dataplane_failures',
    'Dataplane applies that failed and were retried',
    () => sources.dataplane().failures,
  );
  gauge(
    'felix_route_table_num_routes',
    'Routes that this node should have',
    () => sources.dataplane().routes,
  );
  gauge(
    'cali_dataplane_problems',
    'Differences between kernel and desired state that could not be removed',
    () => sources.dataplane().problems.length,
  );
  new Gauge({
    name: 'cali_unreadable_objects',
    help: 'Objects of the API that cannot be used as they are',
    labelNames: ['kind'],
    registers,
    collect() {
      this.reset();
      for (const { kind } of sources.objects()) this.inc({ kind });
    },
  });
  new Gauge({
    name: 'cali_oscillating',
    help: 'Objects of the kernel that are changed back again and again',
    labelNames: ['kind'],
    registers,
    collect() {
      this.reset();
      for (const [kind, count] of Object.entries(sources.dataplane().oscillating)) this.set({ kind }, count);
    },
  });
  gauge('cali_bgp_learned_routes', 'Routes learned by BGP and wanted in the kernel', sources.learnedRoutes);
  const bgp = registerBgpMetrics(registry, { peers: sources.peers, routes: sources.ribPrefixes });
  const duration = new Histogram({
    name: 'cali_cni_duration_seconds',
    help: 'Duration of CNI calls',
    labelNames: ['command'],
    // From an idle node to a hundred pods at once.
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80],
    registers,
  });
  const failures = new Counter({
    name: 'cali_cni_failures_total',
    help: 'CNI calls that were refused',
    labelNames: ['command'],
    registers,
  });
  return {
    registry,
    ...bgp,
    observeCni(command, seconds, isOk) {
      duration.observe({ command }, seconds);
      if (!isOk) failures.inc({ command });
    },
  };
}
