/** Status of a peer, for calictl and metrics. */
import { type Family, parseAddress } from '../../lib/cidr.ts';
import type { PeerMember } from '../group/peer-member.ts';
import type { Rib } from '../rib/rib.ts';
import { describeFlapping } from '../session/fsm.ts';
import type { Negotiated, Session } from '../session/session.ts';
import type { FamilyStatus, PeerConfig, PeerStatus, RefusedPaths } from './config.ts';
import type { Ribs } from './receiver.ts';

/** The parts of a peer that its status uses. */
export interface DescribedPeer {
  readonly config: PeerConfig;
  readonly source: number;
  readonly session: Session;
  readonly negotiated: Negotiated | undefined;
  readonly runner: {
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
  readonly warning: string | undefined;
  readonly lastNotification: string | undefined;
  readonly isRestarting: boolean;
  readonly malformed: PeerStatus['malformed'];
}

/** Maximum number of example prefixes per reason. */
const EXAMPLES = 3;
/** Maximum number of reasons in a status. */
const REASONS = 20;

export function describePeer(peer: DescribedPeer, ribs: Ribs, history: PeerHistory): PeerStatus {
  const { password, importPolicy, prefixPolicy, exportPolicy, ...config } = peer.config;
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
    lastError: withFlapping(peer.session, history.lastError),
    ...counters,
    identifier: negotiated?.peerIdentifier,
    localAddress: peer.runner.connection?.localAddress ?? config.localAddress,
    families,
    prefixesReceived: sum(({ received }) => received),
    prefixesSent: sum(({ advertised }) => advertised),
    capabilities: negotiated ? capabilityNames(negotiated) : [],
    holdTimeSeconds: negotiated?.holdTimeSeconds,
    keepaliveSeconds: negotiated?.keepaliveSeconds,
    queuedOctets: peer.runner.connection?.queued ?? 0,
    bfd: peer.bfdState,
  };
}

function withFlapping(session: Session, error: string | undefined): string | undefined {
  const flapping = describeFlapping(session);
  return flapping && error ? `${flapping}; ${error}` : (flapping ?? error);
}

/** Sorts the statuses of a speaker's peers. Parses each address once: each scrape of /metrics calls this. */
export function sortByAddress(statuses: PeerStatus[]): PeerStatus[] {
  const values = new Map(statuses.map((one) => [one, parseAddress(one.config.address)?.value ?? 0n]));
  return statuses.sort(
    (a, b) => Number(values.get(a)! > values.get(b)!) - Number(values.get(a)! < values.get(b)!),
  );
}

/** Returns the status of a peer that could not be created. */
export function describeUnstartable(
  { password, importPolicy, exportPolicy, prefixPolicy, ...config }: PeerConfig,
  reason: string,
): PeerStatus {
  return {
    config,
    state: 'Idle',
    since: 0,
    lastError: reason,
    lastNotification: undefined,
    identifier: undefined,
    localAddress: config.localAddress,
    families: [],
    prefixesReceived: 0,
    prefixesSent: 0,
    flaps: 0,
    messagesReceived: 0,
    messagesSent: 0,
    updatesReceived: 0,
    updatesSent: 0,
    capabilities: [],
    holdTimeSeconds: undefined,
    keepaliveSeconds: undefined,
    queuedOctets: 0,
    isRestarting: false,
    malformed: undefined,
    bfd: undefined,
  };
}

function familyStatus(peer: DescribedPeer, ribs: Ribs, family: Family): FamilyStatus {
  const rib = ribs[family];
  const member = peer.members.get(family);
  let accepted = 0;
  let best = 0;
  const refused = new Map<number, { count: number; examples: string[] }>();
  for (const path of rib.pathsOf(peer.source)) {
    if (rib.isUsable(path)) {
      accepted++;
      if (rib.best[rib.paths.prefix[path]!] === path) best++;
      continue;
    }
    const rejection = rib.paths.rejection[path]!;
    const found = refused.get(rejection) ?? { count: 0, examples: [] };
    if (found.count++ === 0) refused.set(rejection, found);
    if (found.examples.length < EXAMPLES) found.examples.push(rib.prefixes.text(rib.paths.prefix[path]!));
  }
  const tooLong = member?.group?.tooLong ?? [];
  return {
    family,
    received: rib.countOf(peer.source),
    accepted,
    best,
    advertised: member?.group?.countFor(member) ?? 0,
    refused: refusedPaths(rib, refused),
    tooLong: {
      count: tooLong.length,
      examples: tooLong.slice(0, EXAMPLES).map((prefix) => rib.prefixes.text(prefix)),
    },
  };
}

function refusedPaths(
  { rejections }: Rib,
  found: ReadonlyMap<number, { count: number; examples: readonly string[] }>,
): RefusedPaths[] {
  return [...found]
    .map(([row, { count, examples }]) => ({
      kind: rejections.kind(row),
      reason: rejections.text(row),
      count,
      examples,
    }))
    .sort((a, b) => b.count - a.count)
    .slice(0, REASONS);
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
      negotiated.hasLongLived ? negotiated.peerLongLived.map(({ family }) => family) : [],
    ),
  ];
}
