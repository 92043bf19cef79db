/** A peer as people and metrics see it. */
import type { Family } from '../lib/cidr.ts';
import type { PeerMember } from './group/peer-member.ts';
import type { FamilyStatus, PeerConfig, PeerStatus } from './peer-config.ts';
import type { Negotiated, Session } from './session/session.ts';
import type { Ribs } from './update-receiver.ts';

/** What of a peer is looked at. */
export interface DescribedPeer {
  readonly config: PeerConfig;
  readonly source: number;
  readonly session: Session;
  readonly negotiated: Negotiated | undefined;
  readonly conversation: {
    readonly connection: { readonly localAddress: string; readonly queued: number } | undefined;
  };
  readonly members: ReadonlyMap<Family, PeerMember>;
  readonly counters: Pick<
    PeerStatus,
    'messagesReceived' | 'messagesSent' | 'updatesReceived' | 'updatesSent' | 'flaps'
  >;
  readonly bfdState: string | undefined;
}

export interface PeerHistory {
  readonly since: number;
  readonly lastError: string | undefined;
  readonly lastNotification: string | undefined;
  readonly isRestarting: boolean;
}

export function describePeer(peer: DescribedPeer, ribs: Ribs, history: PeerHistory): PeerStatus {
  const { password, importPolicy, exportPolicy, ...config } = peer.config;
  const { negotiated, counters } = peer;
  const families = (negotiated?.families ?? config.families).map((family) =>
    familyStatus(peer, ribs, family),
  );
  const sum = (pick: (status: FamilyStatus) => number) =>
    families.reduce((total, status) => total + pick(status), 0);
  return {
    config,
    state: peer.session.state,
    ...history,
    ...counters,
    identifier: negotiated?.peerIdentifier,
    localAddress: peer.conversation.connection?.localAddress ?? config.localAddress,
    families,
    prefixesReceived: sum(({ received }) => received),
    prefixesSent: sum(({ advertised }) => advertised),
    capabilities: negotiated ? capabilityNames(negotiated) : [],
    holdTimeSeconds: negotiated?.holdTimeSeconds,
    keepaliveSeconds: negotiated?.keepaliveSeconds,
    queuedOctets: peer.conversation.connection?.queued ?? 0,
    bfd: peer.bfdState,
  };
}

function familyStatus(peer: DescribedPeer, ribs: Ribs, family: Family): FamilyStatus {
  const rib = ribs[family];
  const member = peer.members.get(family);
  let accepted = 0;
  let best = 0;
  for (const path of rib.pathsOf(peer.source)) {
    if (!rib.isUsable(path)) continue;
    accepted++;
    if (rib.best[rib.paths.prefix[path]!] === path) best++;
  }
  const advertised = member?.group?.countFor(member) ?? 0;
  return { family, received: rib.countOf(peer.source), accepted, best, advertised };
}

function capabilityNames(negotiated: Negotiated): string[] {
  const list = (name: string, families: readonly Family[]) =>
    families.length > 0 ? [`${name} (${families.map((family) => `IPv${family}`).join(', ')})`] : [];
  const flag = (name: string, isOn: boolean) => (isOn ? [name] : []);
  const { peerRestart } = negotiated;
  return [
    ...list('multiprotocol', negotiated.families),
    ...flag('4-octet AS', negotiated.isFourOctetAs),
    ...flag('route refresh', negotiated.hasRouteRefresh),
    ...flag('enhanced route refresh', negotiated.hasEnhancedRefresh),
    ...flag('extended messages', negotiated.hasExtendedMessages),
    ...flag('extended next hop', negotiated.hasExtendedNextHop),
    ...list('add-path send', negotiated.addPathSend),
    ...list('add-path receive', negotiated.addPathReceive),
    ...(peerRestart ? [`graceful restart (${peerRestart.restartTimeSeconds} s)`] : []),
    ...flag('graceful restart after notification', negotiated.hasNotificationRestart),
    ...list(
      'long-lived graceful restart',
      negotiated.peerLongLived.map(({ family }) => family),
    ),
  ];
}
