/**
 * What may change while the agent runs: from FelixConfiguration and BGPConfiguration, the node's own object
 * before the default one, and the environment before both (Calico reference 1.10).
 */
import type { BGPConfiguration } from '../datastore/schema/bgp.ts';
import type { FelixConfiguration } from '../datastore/schema/cluster.ts';
import { parseDuration } from '../lib/duration.ts';
import type { AgentConfig } from './config.ts';

export interface HttpAddress {
  readonly host: string;
  readonly port: number;
}

export interface Settings {
  readonly logSeverity: string;
  readonly resyncMs: number;
  /** Whether the node forwards between its interfaces; Disabled leaves the kernel's switch alone. */
  readonly hasForwarding: boolean;
  /** Undefined: not served. */
  readonly health: HttpAddress | undefined;
  readonly metrics: HttpAddress | undefined;
}

const DEFAULTS = {
  logSeverity: 'info',
  resyncMs: 90_000,
  healthHost: 'localhost',
  healthPort: 9099,
  metricsHost: '0.0.0.0',
  metricsPort: 9091,
};

export function settingsFor(
  config: AgentConfig,
  felix: readonly FelixConfiguration[],
  bgp: readonly BGPConfiguration[],
): Settings {
  const pick = <T extends { metadata: { name: string }; spec: object }>(
    objects: readonly T[],
  ): T['spec'] => ({
    ...objects.find(({ metadata }) => metadata.name === 'default')?.spec,
    ...objects.find(({ metadata }) => metadata.name === `node.${config.node}`)?.spec,
  });
  const spec = pick(felix) as FelixConfiguration['spec'];
  const bgpSpec = pick(bgp) as BGPConfiguration['spec'];
  const refresh =
    spec.routeRefreshInterval === undefined ? undefined : parseDuration(spec.routeRefreshInterval);
  const healthPort =
    config.healthPort ?? (spec.healthEnabled === false ? 0 : (spec.healthPort ?? DEFAULTS.healthPort));
  const metricsPort =
    config.metricsPort ??
    (spec.prometheusMetricsEnabled === false ? 0 : (spec.prometheusMetricsPort ?? DEFAULTS.metricsPort));
  return {
    logSeverity:
      config.logSeverity ?? spec.logSeverityScreen ?? bgpSpec.logSeverityScreen ?? DEFAULTS.logSeverity,
    resyncMs: config.resyncMs ?? (refresh || DEFAULTS.resyncMs),
    hasForwarding: spec.ipForwarding !== 'Disabled',
    health:
      healthPort === 0
        ? undefined
        : { host: config.healthHost ?? spec.healthHost ?? DEFAULTS.healthHost, port: healthPort },
    metrics:
      metricsPort === 0
        ? undefined
        : {
            host: config.metricsHost ?? (spec.prometheusMetricsHost || DEFAULTS.metricsHost),
            port: metricsPort,
          },
  };
}
