/** The capabilities that we put into OPEN (RFC 5492). */
import type { Capabilities } from '../wire/capabilities.ts';
import type { SessionConfig } from './session.ts';

/** `isRestarting`: this speaker has restarted and still collects routes (RFC 4724, the R bit). */
export function offeredCapabilities(config: SessionConfig, isRestarting: boolean): Capabilities {
  const { families, restartTimeSeconds } = config;
  const canSend = config.canSendAddPath ?? false;
  const canReceive = config.canReceiveAddPath ?? false;
  const longLivedSeconds = config.longLivedSeconds ?? 0;
  return {
    families,
    hasRouteRefresh: true,
    hasEnhancedRefresh: true,
    hasExtendedMessages: true,
    hasExtendedNextHop: (config.hasExtendedNextHop ?? false) && families.includes(4),
    fourOctetAs: config.localAs,
    gracefulRestart: {
      isRestarting,
      hasNotification: true,
      restartTimeSeconds: Math.min(restartTimeSeconds, 4095),
      families: families.map((family) => ({ family, isForwardingKept: true })),
    },
    addPath: canSend || canReceive ? families.map((family) => ({ family, canSend, canReceive })) : [],
    longLived:
      longLivedSeconds > 0
        ? families.map((family) => ({ family, isForwardingKept: true, staleSeconds: longLivedSeconds }))
        : [],
    role: config.localAs === config.peerAs ? undefined : config.role,
    unknown: [],
  };
}
