/**
 * Settings that may change while the agent runs, from FelixConfiguration and BGPConfiguration. The node's own object
 * overrides the default one, and the environment overrides both (Calico reference 1.10).
 */
import type { BGPConfiguration } from '../../datastore/schema/bgp-configuration.ts';
import type { FelixConfiguration } from '../../datastore/schema/cluster.ts';
import { type FilterSettings, filterSettings } from '../../felix/calc/filter-settings.ts';
import { boundedPattern } from '../../lib/bounded-pattern.ts';
import { parseDuration } from '../../lib/duration.ts';
import { severityOf } from '../../lib/log.ts';
import type { HttpAddress } from '../../lib/moving-server.ts';
import { DEFAULT_PROTOCOLS, type RouteProtocols, refusal } from '../../model/route-protocols.ts';
import { DEFAULT_VXLAN_PORT, DEFAULT_VXLAN_VNI, type TunnelSettings } from '../../model/tunnel.ts';
import type { AgentConfig } from './environment.ts';

type FelixSpec = FelixConfiguration['spec'];

export interface Settings {
  readonly logSeverity: string;
  readonly resyncMs: number;
  /** Whether to enable forwarding between interfaces. Disabled does not change the kernel's setting. */
  readonly hasForwarding: boolean;
  /** Undefined when disabled. */
  readonly health: HttpAddress | undefined;
  readonly metrics: HttpAddress | undefined;
  readonly tunnels: TunnelSettings;
  readonly filter: FilterSettings;
  /** Interfaces that determine the MTU. */
  readonly mtuPattern: RegExp;
  /** Whether routes to other nodes' pods come from the datastore and not from BGP. */
  readonly isWithoutBgp: boolean;
  /** Protocol numbers of our routes in the kernel. */
  readonly routeProtocols: RouteProtocols;
  /** Settings that are not applied, a sentence each. */
  readonly problems: readonly string[];
  /** FelixConfiguration's ChecksumOffloadBroken; undefined: determined by the kernel's version. */
  readonly isOffloadBroken: boolean | undefined;
}

const DEFAULTS = {
  logSeverity: 'info',
  resyncMs: 90_000,
  healthHost: 'localhost',
  healthPort: 9099,
  // The operator decides who reaches it: prometheusMetricsHost, FELIX_PROMETHEUSMETRICSHOST.
  metricsHost: '127.0.0.1',
  metricsPort: 9091,
  // Calico 1.10: systemd's names of interfaces, and the traditional ones.
  mtuPattern: '^((en|wl|ww|sl|ib)[Pcopsvx].*|(eth|wlan|wwan).*)',
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
  const spec: FelixSpec = { ...pick(felix), ...config.felix };
  const filter = filterSettings(spec);
  const routes = routeProtocols(spec.deviceRouteProtocol, config.bgpRouteProtocol);
  const sourceOf = (field: string) => {
    if (field in config.felix) return 'environment';
    const own = felix.find(({ metadata }) => metadata.name === `node.${config.node}`);
    return own && field in own.spec ? own.metadata.name : 'default';
  };
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
      config.logSeverity ??
      moreVerbose(spec.logSeverityScreen, bgpSpec.logSeverityScreen) ??
      DEFAULTS.logSeverity,
    resyncMs: config.resyncMs ?? (refresh || DEFAULTS.resyncMs),
    hasForwarding: spec.ipForwarding !== 'Disabled',
    health:
      healthPort === 0
        ? undefined
        : { host: config.healthHost ?? (spec.healthHost || DEFAULTS.healthHost), port: healthPort },
    metrics:
      metricsPort === 0
        ? undefined
        : {
            host: config.metricsHost ?? (spec.prometheusMetricsHost || DEFAULTS.metricsHost),
            port: metricsPort,
          },
    tunnels: tunnelSettings(spec),
    filter: filter.settings,
    mtuPattern: patternOf(spec.mtuIfacePattern),
    routeProtocols: routes.routeProtocols,
    problems: [
      ...filter.problems.map(
        ({ field, reason }) => `FelixConfiguration ${sourceOf(field)}: ${field} ${reason}`,
      ),
      ...routes.problems,
    ],
    isWithoutBgp: spec.routeSource === 'Datastore' || config.backend === 'vxlan',
    isOffloadBroken: override(spec.featureDetectOverride, 'ChecksumOffloadBroken'),
  };
}

/** Returns the protocol numbers. Replaces unusable ones and reports them, because routes of pods need a number. */
function routeProtocols(
  device: number | undefined,
  bgp: number,
): Pick<Settings, 'routeProtocols' | 'problems'> {
  const standard = bgp === DEFAULT_PROTOCOLS.local ? DEFAULT_PROTOCOLS.bgp : DEFAULT_PROTOCOLS.local;
  if (device === undefined) return { routeProtocols: { local: standard, bgp }, problems: [] };
  const reason = refusal(device, bgp);
  if (!reason) return { routeProtocols: { local: device, bgp }, problems: [] };
  const problem = `FelixConfiguration deviceRouteProtocol ${device} ${reason}: using ${standard}; choose another number`;
  return { routeProtocols: { local: standard, bgp }, problems: [problem] };
}

/** Returns the more verbose severity. In Calico each is for one process; Cali has one log, which satisfies both. */
function moreVerbose(one: string | undefined, other: string | undefined): string | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return severityOf(one) <= severityOf(other) ? one : other;
}

function tunnelSettings(spec: FelixSpec): TunnelSettings {
  return {
    ipipEnabled: spec.ipipEnabled,
    vxlanEnabled: spec.vxlanEnabled,
    mtu: { ipip: spec.ipipMTU ?? 0, vxlan4: spec.vxlanMTU ?? 0, vxlan6: spec.vxlanMTUV6 ?? 0 },
    vxlanPort: spec.vxlanPort ?? DEFAULT_VXLAN_PORT,
    vxlanVni: spec.vxlanVNI ?? DEFAULT_VXLAN_VNI,
  };
}

function patternOf(text: string | undefined): RegExp {
  const pattern = text ? boundedPattern(text) : undefined;
  return pattern instanceof RegExp ? pattern : new RegExp(DEFAULTS.mtuPattern);
}

/** Returns a feature of Calico's `featureDetectOverride`, which has the form `Name=true,Other=false`. */
function override(text: string | undefined, name: string): boolean | undefined {
  const value = new RegExp(`\\b${name}=(true|false)\\b`).exec(text ?? '')?.[1];
  return value === undefined ? undefined : value === 'true';
}
