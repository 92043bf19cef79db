/** Settings of one session, from BGPPeer, else from BGPConfiguration, else from the agent. */
import type { BfdConfig, PeerConfig, PrefixLimit } from '../../../bgp/peer/config.ts';
import { PRIORITY_SUM } from '../../../bgp/policy/filter.ts';
import { BgpRole } from '../../../bgp/wire/iana.ts';
import type { BGPConfiguration } from '../../../datastore/schema/bgp-configuration.ts';
import type { BGPPeer } from '../../../datastore/schema/bgp-peer.ts';
import type { Family } from '../../../lib/cidr.ts';
import { parseDuration } from '../../../lib/duration.ts';
import { defaultsOf, normalPriority } from './cluster.ts';
import { passwordOf, type Secrets } from './password.ts';

type PeerSpec = BGPPeer['spec'];
type ConfigurationSpec = BGPConfiguration['spec'];

/** Defaults of the agent, from its environment. */
export interface SessionDefaults {
  readonly holdTimeSeconds: number;
  readonly restartTimeSeconds: number;
}

const roles = {
  Provider: BgpRole.PROVIDER,
  RouteServer: BgpRole.ROUTE_SERVER,
  RouteServerClient: BgpRole.ROUTE_SERVER_CLIENT,
  Customer: BgpRole.CUSTOMER,
  Peer: BgpRole.PEER,
} as const;

const DEFAULT_BFD_MS = 300;
const DEFAULT_BFD_MULTIPLIER = 3;
/** Room for two full Internet tables. A peer that announces more is broken or malicious. */
const DEFAULT_PREFIX_LIMIT: PrefixLimit = { limit: 2_000_000, action: 'Drop', warningPercent: 75 };

/** Returns the settings of a mesh session, which has no BGPPeer. */
export function meshSettings(
  family: Family,
  configurations: readonly BGPConfiguration[],
  defaults: SessionDefaults,
  secrets: Secrets,
) {
  const spec = defaultsOf(configurations);
  return {
    ...commonSettings(spec, family, configurations),
    holdTimeSeconds: seconds(spec.holdTime) ?? defaults.holdTimeSeconds,
    connectRetrySeconds: seconds(spec.connectRetryTime),
    restartTimeSeconds: seconds(spec.nodeMeshMaxRestartTime) ?? defaults.restartTimeSeconds,
    ...passwordOf(spec.nodeMeshPassword, secrets),
    bfd: bfdOf(spec.bfd, true),
    allowedLocalAs: 0,
  };
}

/** Returns the settings of a session that a BGPPeer defines. */
export function peerSettings(
  spec: PeerSpec,
  family: Family,
  configurations: readonly BGPConfiguration[],
  defaults: SessionDefaults,
  secrets: Secrets,
): Pick<PeerConfig, 'families' | 'holdTimeSeconds' | 'restartTimeSeconds' | 'allowedLocalAs'> &
  Partial<PeerConfig> {
  const cluster = defaultsOf(configurations);
  const addPaths = spec.addPaths ?? 'Both';
  return {
    ...commonSettings(cluster, family, configurations),
    families: spec.addressFamilies?.map((name) => (name === 'IPv4' ? 4 : 6)) ?? [family],
    holdTimeSeconds: seconds(spec.holdTime ?? cluster.holdTime) ?? defaults.holdTimeSeconds,
    keepaliveSeconds: seconds(spec.keepaliveTime),
    connectRetrySeconds: seconds(spec.connectRetryTime ?? cluster.connectRetryTime),
    restartTimeSeconds: seconds(spec.maxRestartTime) ?? defaults.restartTimeSeconds,
    longLivedSeconds: seconds(spec.longLivedRestartTime),
    allowedLocalAs: spec.numAllowedLocalASNumbers ?? 0,
    ...passwordOf(spec.password, secrets),
    ttlSecurityHops: spec.ttlSecurity || undefined,
    canSendAddPath: addPaths === 'Send' || addPaths === 'Both',
    canReceiveAddPath: addPaths === 'Receive' || addPaths === 'Both',
    hasExtendedNextHop: spec.extendedNextHop ?? (spec.peerIP?.includes('%') || undefined),
    role: spec.role && roles[spec.role],
    isRoleStrict: spec.roleStrict,
    prefixLimit: spec.maxPrefixes
      ? {
          limit: spec.maxPrefixes.limit,
          action: spec.maxPrefixes.action ?? 'Drop',
          warningPercent: spec.maxPrefixes.warningPercent ?? DEFAULT_PREFIX_LIMIT.warningPercent,
        }
      : DEFAULT_PREFIX_LIMIT,
    bfd: bfdOf(spec.bfd ?? cluster.bfd, (spec.ttlSecurity ?? 0) !== 1),
    shutdownMessage: spec.shutdownMessage,
  };
}

/** Calico B-052, B-053: keepOriginalNextHop is the old name of Keep, and applies only to external peers. */
export function nextHopModeOf(spec: PeerSpec, isIbgp: boolean): 'Auto' | 'Self' | 'Keep' {
  if (spec.nextHopMode) return spec.nextHopMode;
  return spec.keepOriginalNextHop && !isIbgp ? 'Keep' : 'Auto';
}

function commonSettings(
  cluster: ConfigurationSpec,
  family: Family,
  configurations: readonly BGPConfiguration[],
) {
  return {
    families: [family],
    // Both directions for each session, as in Calico (B-005), so that nodes get all next hops of anycast routes.
    canSendAddPath: true,
    canReceiveAddPath: true,
    connectRetrySeconds: seconds(cluster.connectRetryTime),
    localPref: PRIORITY_SUM - normalPriority(family, configurations),
    prefixLimit: DEFAULT_PREFIX_LIMIT,
  };
}

function bfdOf(spec: PeerSpec['bfd'], isMultihop: boolean): BfdConfig | undefined {
  if (!spec) return undefined;
  return {
    receiveIntervalMs: milliseconds(spec.receiveInterval) ?? DEFAULT_BFD_MS,
    transmitIntervalMs: milliseconds(spec.transmitInterval) ?? DEFAULT_BFD_MS,
    multiplier: spec.multiplier ?? DEFAULT_BFD_MULTIPLIER,
    isMultihop,
  };
}

/** Parses a duration to whole seconds (Calico B-008). */
function seconds(text: string | undefined): number | undefined {
  const value = milliseconds(text);
  return value === undefined ? undefined : Math.round(value / 1000);
}

function milliseconds(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseDuration(text);
}
