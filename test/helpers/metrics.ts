/** The metric registries of all programs, with empty sources, and the series that they expose. */

import type { MetricObject, Registry } from 'prom-client';
import { createMetrics, createReflectorMetrics, type MetricSources } from '../../agent/serve/metrics.ts';
import type { PeerStatus } from '../../bgp/peer/config.ts';
import { createMetrics as createControllerMetrics } from '../../controllers/metrics.ts';
import { RequestCounter } from '../../datastore/kubernetes/request-metrics.ts';
import { registerWatchMetrics } from '../../datastore/watch-metrics.ts';
import { noStats } from '../../felix/dataplane/stats.ts';
import { systemTime } from '../../lib/time.ts';

export const noSources: MetricSources = {
  time: systemTime,
  peers: () => [],
  routes: () => 0,
  learnedRoutes: () => 0,
  dataplane: () => noStats,
  endpoints: () => 0,
  sync: () => 'in sync',
  watches: () => new Map(),
  tunnels: () => [],
  isReady: () => true,
  objects: () => [],
};

/** Returns each program's registry, filled as the program fills it. */
export function programs(): Readonly<Record<string, Registry>> {
  const withRequests = (registry: Registry) => {
    new RequestCounter().register(registry);
    return registry;
  };
  const withWatches = (registry: Registry) => {
    registerWatchMetrics(registry, () => new Map());
    return withRequests(registry);
  };
  return {
    'cali-node': withRequests(createMetrics(noSources).registry),
    'cali-reflector': withWatches(createReflectorMetrics(noSources).registry),
    'cali-controllers': withWatches(
      createControllerMetrics(() => ({
        snapshot: undefined,
        candidates: 0,
        reclaimed: 0,
        error: undefined,
      })),
    ),
  };
}

export interface SeriesInfo {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly labels: readonly string[];
}

export function seriesOf(registry: Registry): SeriesInfo[] {
  return registry.getMetricsAsArray().map((metric) => ({
    name: metric.name,
    type: String(metric.type),
    help: metric.help,
    labels: labelNames(metric),
  }));
}

/** Returns a metric's label names, which prom-client keeps in an undeclared field. */
function labelNames(metric: MetricObject): string[] {
  return 'labelNames' in metric && Array.isArray(metric.labelNames) ? metric.labelNames.map(String) : [];
}

/** A session with nothing to report. */
export function peerStatus(
  config: Partial<PeerStatus['config']>,
  more: Partial<PeerStatus> = {},
): PeerStatus {
  const family = (of: 4 | 6) => ({
    family: of,
    received: 1,
    accepted: 1,
    best: 1,
    advertised: 1,
    refused: [],
    tooLong: { count: 0, examples: [] },
  });
  return {
    config: {
      address: '10.0.0.2',
      port: 179,
      localAs: 64512,
      remoteAs: 64512,
      peerType: 'node-to-node mesh',
      families: [4, 6],
      ...config,
    } as PeerStatus['config'],
    state: 'Established',
    since: 0,
    lastError: undefined,
    lastNotification: undefined,
    identifier: undefined,
    localAddress: undefined,
    families: [family(4), family(6)],
    prefixesReceived: 1,
    prefixesSent: 1,
    flaps: 0,
    messagesReceived: 0,
    messagesSent: 0,
    updatesReceived: 0,
    updatesSent: 0,
    capabilities: [],
    holdTimeSeconds: 90,
    keepaliveSeconds: 30,
    queuedOctets: 0,
    isRestarting: false,
    bfd: undefined,
    malformed: undefined,
    ...more,
  };
}
