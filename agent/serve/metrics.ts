/**
 * Prometheus metrics of an agent, with Felix's names, types and values when Felix has one (Calico reference 7.1), else
 * with `cali_`.
 */
import { Counter, Histogram, Registry, Summary } from 'prom-client';
import type { SyncState } from '../../datastore/informers.ts';
import type { ObjectProblem } from '../../datastore/object-problem.ts';
import { registerWatchMetrics, type WatchStates } from '../../datastore/watch-metrics.ts';
import type { DataplaneStats } from '../../felix/dataplane/stats.ts';
import { registerProcessMetrics } from '../../lib/process-metrics.ts';
import { exposeCounter, exposeGauge, type Reading } from '../../lib/series.ts';
import type { AgentStatus } from '../report/status.ts';
import { type BgpMetricSources, type BgpMetrics, registerBgpMetrics } from '../speaker/metrics.ts';

export interface MetricSources extends BgpMetricSources {
  readonly learnedRoutes: () => number;
  readonly dataplane: () => DataplaneStats;
  readonly endpoints: () => number;
  /** Returns the progress of the copy of the datastore. */
  readonly sync: () => SyncState;
  /** Returns the states of the watches of the datastore. */
  readonly watches: () => WatchStates;
  readonly tunnels: () => AgentStatus['tunnels'];
  readonly isReady: () => boolean;
  /** Returns the faults of objects. */
  readonly objects: () => readonly ObjectProblem[];
}

/** Felix's values. */
const syncNumbers: Readonly<Record<SyncState, number>> = { waiting: 1, resyncing: 2, 'in sync': 3 };

export interface Metrics extends BgpMetrics {
  readonly registry: Registry;
  readonly observeCni: (command: string, seconds: number, isOk: boolean) => void;
  /** Records the seconds of an apply of the dataplane. */
  readonly observeApply: (seconds: number) => void;
}

export function createMetrics(sources: MetricSources): Metrics {
  const registry = new Registry();
  registerProcessMetrics(registry);
  const observeApply = registerFelixMetrics(registry, sources);
  registerNodeMetrics(registry, sources);
  exposeGauge(registry, {
    name: 'cali_bgp_learned_routes',
    help: 'BGP routes that the kernel should have',
    read: sources.learnedRoutes,
  });
  const bgp = registerBgpMetrics(registry, sources);
  return { registry, ...bgp, observeApply, observeCni: registerCniMetrics(registry) };
}

/** Creates the metrics of a reflector: those of the speaker and of the process. */
export function createReflectorMetrics(sources: BgpMetricSources): BgpMetrics & { registry: Registry } {
  const registry = new Registry();
  registerProcessMetrics(registry);
  return { registry, ...registerBgpMetrics(registry, sources) };
}

function registerFelixMetrics(registry: Registry, sources: MetricSources): Metrics['observeApply'] {
  exposeGauge(registry, {
    name: 'felix_active_local_endpoints',
    help: 'Workload endpoints on this node',
    read: sources.endpoints,
  });
  exposeGauge(registry, {
    name: 'felix_resync_state',
    help: 'State of the datastore copy: 1 waiting for the API, 2 listing, 3 in sync',
    read: () => syncNumbers[sources.sync()],
  });
  exposeCounter(registry, {
    name: 'felix_int_dataplane_failures',
    help: 'Dataplane applies that failed and were retried',
    read: () => sources.dataplane().failures,
  });
  exposeGauge(registry, {
    name: 'felix_route_table_num_routes',
    help: 'Routes that this node should have, by address family and kernel table',
    labels: ['table'],
    read: () => {
      const { routes, ipv6Routes } = sources.dataplane();
      return [
        [{ table: 'IPv4:254' }, routes - ipv6Routes],
        [{ table: 'IPv6:254' }, ipv6Routes],
      ];
    },
  });
  const apply = new Summary({
    name: 'felix_int_dataplane_apply_time_seconds',
    help: 'Duration of a dataplane apply',
    percentiles: [0.5, 0.9, 0.99],
    maxAgeSeconds: 600,
    ageBuckets: 5,
    registers: [registry],
  });
  return (seconds) => apply.observe(seconds);
}

function registerNodeMetrics(registry: Registry, sources: MetricSources): void {
  exposeGauge(registry, {
    name: 'cali_node_ready',
    help: '1 while the agent is ready; calictl node status shows why it is not',
    read: () => Number(sources.isReady()),
  });
  registerWatchMetrics(registry, sources.watches);
  exposeGauge(registry, {
    name: 'cali_tunnel_up',
    help: '1 while a required tunnel device is up and has its address',
    labels: ['device'],
    read: () => sources.tunnels().map(({ device, isUp }): Reading => [{ device }, Number(isUp)]),
  });
  exposeGauge(registry, {
    name: 'cali_dataplane_problems',
    help: 'Unresolved differences between kernel and desired state',
    read: () => sources.dataplane().problems.length,
  });
  exposeCounter(registry, {
    name: 'cali_dataplane_missed_notifications_total',
    help: 'Kernel objects that full checks found changed without a notification',
    read: () => sources.dataplane().missedNotifications,
  });
  exposeGauge(registry, {
    name: 'cali_unreadable_objects',
    help: 'API objects that cannot be used as stored',
    labels: ['kind'],
    read: () => sources.objects().map(({ kind }): Reading => [{ kind }, 1]),
  });
  exposeGauge(registry, {
    name: 'cali_oscillating',
    help: 'Kernel objects that another program keeps changing back',
    labels: ['kind'],
    read: () =>
      Object.entries(sources.dataplane().oscillating).map(([kind, count]): Reading => [{ kind }, count]),
  });
}

function registerCniMetrics(registry: Registry): Metrics['observeCni'] {
  const registers = [registry];
  const duration = new Histogram({
    name: 'cali_cni_duration_seconds',
    help: 'Duration of CNI calls',
    labelNames: ['command'],
    // From an idle node to a hundred concurrent pods.
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80],
    registers,
  });
  const failures = new Counter({
    name: 'cali_cni_failures_total',
    help: 'CNI calls that were refused or failed',
    labelNames: ['command'],
    registers,
  });
  // Start at zero, so that increase() includes the first failure.
  for (const command of ['ADD', 'DEL', 'CHECK']) failures.inc({ command }, 0);
  return (command, seconds, isOk) => {
    duration.observe({ command }, seconds);
    if (!isOk) failures.inc({ command });
  };
}
