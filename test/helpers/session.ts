/** An iBGP session as the state machine's tests use it: its configuration, and what both sides negotiated. */
import type { Negotiated, SessionConfig } from '../../bgp/session/session.ts';

export const sessionConfig: SessionConfig = {
  localAs: 64512,
  asNumber: 64512,
  identifier: '10.0.0.1',
  holdTimeSeconds: 90,
  isPassive: false,
  families: [4],
  restartTimeSeconds: 120,
};

/** The peer supports graceful restart. */
export const negotiatedSession: Negotiated = {
  peerAs: 64512,
  peerIdentifier: '10.0.0.2',
  isIbgp: true,
  holdTimeSeconds: 90,
  keepaliveSeconds: 30,
  families: [4],
  isFourOctetAs: true,
  hasRouteRefresh: true,
  hasExtendedMessages: false,
  hasEnhancedRefresh: false,
  addPathSend: [],
  addPathReceive: [],
  hasExtendedNextHop: false,
  hasNotificationRestart: false,
  peerLongLived: [],
  hasLongLived: false,
  peerRestart: {
    isRestarting: false,
    hasNotification: false,
    restartTimeSeconds: 120,
    families: [{ family: 4, isForwardingKept: true }],
  },
};
