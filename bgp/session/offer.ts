/** The OPEN that we send (RFC 4271 section 4.2), with its capabilities (RFC 5492). */
import type { Capabilities } from '../wire/capabilities.ts';
import type { OpenMessage } from '../wire/open.ts';
import type { SessionConfig } from './session.ts';

/** Returns our OPEN. `isRestarting`: this speaker has restarted and still waits for routes (RFC 4724, R bit). */
export function offeredOpen(config: SessionConfig, isRestarting: boolean): OpenMessage {
  const { localAs, holdTimeSeconds, identifier } = config;
  const capabilities = offeredCapabilities(config, isRestarting);
  return { type: 'open', asNumber: localAs, holdTimeSeconds, identifier, capabilities };
}

function offeredCapabilities(config: SessionConfig, isRestarting: boolean): Capabilities {
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
    roles: config.role === undefined || config.localAs === config.asNumber ? [] : [config.role],
    otherFamilies: [],
    unknown: [],
  };
}
