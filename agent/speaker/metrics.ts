/**
 * Prometheus metrics of the BGP speaker, for nodes and reflectors. A mesh has a session per pair of nodes and address
 * family. So its sessions have few series each, and sums per node cover the rest, unless CALI_BGP_METRICS requests all.
 */
import { Histogram, type Registry } from 'prom-client';
import { type FamilyStatus, keyOfPeer, type PeerStatus } from '../../bgp/peer/config.ts';
import { rejectionKinds } from '../../bgp/policy/rejection.ts';
import { exposeCounter, exposeGauge, type Reading, RunningTotal } from '../../lib/series.ts';
import type { Time } from '../../lib/time.ts';

export interface BgpMetrics {
  /** Records the seconds from the first change of a turn until it was sent to all peers. */
  readonly observeConvergence: (seconds: number) => void;
}

export interface BgpMetricSources {
  readonly time: Pick<Time, 'now' | 'turn'>;
  readonly peers: () => readonly PeerStatus[];
  readonly routes: () => number;
  /** Returns the names of nodes by address. */
  readonly nodeNames?: () => ReadonlyMap<string, string>;
  /** Whether mesh sessions also have all series. */
  readonly isDetailed?: boolean;
}

type PeerReader = (peer: PeerStatus, now: number) => number;
type FamilyReader = (status: FamilyStatus) => number;
type Definition<R> = readonly [name: string, help: string, read: R];

const detailGauges: readonly Definition<PeerReader>[] = [
  ['uptime_seconds', 'Age of the established session, 0 while it is down', uptime],
  ['queued_bytes', 'Bytes queued until the peer reads them', ({ queuedOctets }) => queuedOctets],
];

const detailCounters: readonly Definition<PeerReader>[] = [
  ['messages_received_total', 'Messages received', ({ messagesReceived }) => messagesReceived],
  ['messages_sent_total', 'Messages sent', ({ messagesSent }) => messagesSent],
  ['updates_received_total', 'UPDATEs received', ({ updatesReceived }) => updatesReceived],
  ['updates_sent_total', 'UPDATEs sent', ({ updatesSent }) => updatesSent],
];

const prefixes: readonly Definition<FamilyReader>[] = [
  ['prefixes_received', 'Paths in Adj-RIB-In', ({ received }) => received],
  ['prefixes_accepted', 'Usable paths in Adj-RIB-In', ({ accepted }) => accepted],
  ['prefixes_best', 'Received paths selected as best', ({ best }) => best],
  ['prefixes_sent', 'Paths in Adj-RIB-Out', ({ advertised }) => advertised],
];

const sums: readonly Definition<(peer: PeerStatus) => number>[] = [
  ['updates_received_total', 'UPDATEs received', ({ updatesReceived }) => updatesReceived],
  ['updates_sent_total', 'UPDATEs sent', ({ updatesSent }) => updatesSent],
  [
    'malformed_updates_total',
    'UPDATEs whose attributes or routes were discarded because of an error (RFC 7606)',
    ({ malformed }) => malformed?.count ?? 0,
  ],
];

const IDENTITY = ['peer', 'peer_node'];

export function registerBgpMetrics(registry: Registry, sources: BgpMetricSources): BgpMetrics {
  const shared = snapshot(sources);
  registerSessions(registry, shared);
  registerDetails(registry, sources, shared);
  registerSums(registry, shared);
  registerRoutes(registry, sources, shared);
  const convergence = new Histogram({
    name: 'cali_bgp_convergence_seconds',
    help: 'Time from the first change of a turn until it is sent to all peers',
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
    registers: [registry],
  });
  return { observeConvergence: (seconds) => convergence.observe(seconds) };
}

/** Series of each session. */
function registerSessions(registry: Registry, { peers, labelsOf }: Snapshot): void {
  exposeGauge(registry, {
    name: 'cali_bgp_peer_up',
    help: '1 while the session is Established; peer_node is empty if the peer is not a node',
    labels: [...IDENTITY, 'type'],
    read: () =>
      peers().map(
        (peer): Reading => [
          { ...labelsOf(peer), type: peer.config.peerType },
          Number(peer.state === 'Established'),
        ],
      ),
  });
  exposeCounter(registry, {
    name: 'cali_bgp_peer_flaps_total',
    help: 'Times that the session left Established',
    labels: IDENTITY,
    read: () => peers().map((peer): Reading => [labelsOf(peer), peer.flaps]),
  });
  exposeGauge(registry, {
    name: 'cali_bgp_peer_bfd_up',
    help: '1 while the BFD session is up; only for peers with bfd',
    labels: IDENTITY,
    read: () =>
      peers()
        .filter(({ config }) => config.bfd)
        .map((peer): Reading => [labelsOf(peer), Number(peer.bfd === 'Up')]),
  });
}

/** Series of each session that a full mesh would multiply. */
function registerDetails(registry: Registry, sources: BgpMetricSources, { peers, labelsOf }: Snapshot): void {
  const detailed = () =>
    peers().filter(({ config }) => sources.isDetailed || config.peerType !== 'node-to-node mesh');

  for (const [name, help, read] of detailGauges)
    exposeGauge(registry, {
      name: `cali_bgp_peer_${name}`,
      help: `${help}; for mesh sessions only if CALI_BGP_METRICS is Detailed`,
      labels: IDENTITY,
      read: () => detailed().map((peer): Reading => [labelsOf(peer), read(peer, sources.time.now())]),
    });
  for (const [name, help, read] of detailCounters)
    exposeCounter(registry, {
      name: `cali_bgp_peer_${name}`,
      help: `${help}; for mesh sessions only if CALI_BGP_METRICS is Detailed`,
      labels: IDENTITY,
      read: () => detailed().map((peer): Reading => [labelsOf(peer), read(peer, sources.time.now())]),
    });
  for (const [name, help, read] of prefixes) {
    exposeGauge(registry, {
      name: `cali_bgp_peer_${name}`,
      help: `${help}; for mesh sessions only if CALI_BGP_METRICS is Detailed`,
      labels: [...IDENTITY, 'family'],
      read: () => detailed().flatMap((peer) => perFamily(peer, read, labelsOf(peer))),
    });
    exposeGauge(registry, {
      name: `cali_bgp_${name}`,
      help: `${help}, of all sessions`,
      labels: ['family'],
      read: () => peers().flatMap((peer) => perFamily(peer, read, {})),
    });
  }
  exposeGauge(registry, {
    name: 'cali_bgp_peer_last_notification_info',
    help: 'Last NOTIFICATION received, as a label; always 1; for mesh sessions only if CALI_BGP_METRICS is Detailed',
    labels: [...IDENTITY, 'notification'],
    read: () =>
      detailed().flatMap((peer): Reading[] =>
        peer.lastNotification
          ? [[{ ...labelsOf(peer), notification: withoutPeersText(peer.lastNotification) }, 1]]
          : [],
      ),
  });
}

/** Series over all sessions. */
function registerSums(registry: Registry, { peers }: Snapshot): void {
  exposeGauge(registry, {
    name: 'cali_bgp_sessions',
    help: 'Configured or open sessions, by type and whether they are Established',
    labels: ['type', 'established'],
    read: () =>
      peers().map(
        ({ config, state }): Reading => [
          { type: config.peerType, established: String(state === 'Established') },
          1,
        ],
      ),
  });
  exposeGauge(registry, {
    name: 'cali_bgp_peers_restarting',
    help: 'Peers without a session whose routes are retained (graceful restart)',
    read: () => peers().filter(({ isRestarting }) => isRestarting).length,
  });
  for (const [name, help, read] of sums) {
    const total = new RunningTotal();
    exposeCounter(registry, {
      name: `cali_bgp_${name}`,
      help: `${help}, of all sessions`,
      read: () => total.update(new Map(peers().map((peer) => [keyOfPeer(peer.config), read(peer)]))),
    });
  }
  exposeGauge(registry, {
    name: 'cali_bgp_queued_bytes_max',
    help: 'Bytes queued for the slowest peer',
    read: () => Math.max(0, ...peers().map(({ queuedOctets }) => queuedOctets)),
  });
}

/** Series of the RIB, and of routes that are not used or not sent. */
function registerRoutes(registry: Registry, sources: BgpMetricSources, { peers }: Snapshot): void {
  exposeGauge(registry, {
    name: 'cali_bgp_rib_prefixes',
    help: 'Prefixes in the RIB',
    read: sources.routes,
  });
  exposeGauge(registry, {
    name: 'cali_bgp_paths_refused',
    help: 'Unused paths in Adj-RIB-In, by class of reason; calictl bgp neighbor shows the reasons in full',
    labels: ['family', 'reason'],
    read: () => [
      ...['ipv4', 'ipv6'].flatMap((family) =>
        rejectionKinds.map((reason): Reading => [{ family, reason }, 0]),
      ),
      ...peers().flatMap((peer) =>
        peer.families.flatMap(({ family, refused }) =>
          refused.map(({ kind, count }): Reading => [{ family: `ipv${family}`, reason: kind }, count]),
        ),
      ),
    ],
  });
  exposeGauge(registry, {
    name: 'cali_bgp_routes_too_long',
    help: 'Routes withheld from peers because their attributes exceed the maximum message size',
    read: () =>
      peers()
        .flatMap((peer) => peer.families.map(({ tooLong }) => tooLong.count))
        .reduce((sum, count) => sum + count, 0),
  });
}

type Snapshot = ReturnType<typeof snapshot>;

/** Shares a list of the peers between all series of a scrape, which are collected in the same turn. */
function snapshot(sources: BgpMetricSources) {
  let seen: { peers: readonly PeerStatus[]; names: ReadonlyMap<string, string> } | undefined;
  const look = () => {
    if (!seen) {
      // A retiring peer may have the address of its successor.
      const current = sources.peers().filter(({ isRetiring }) => !isRetiring);
      seen = { peers: current, names: sources.nodeNames?.() ?? new Map() };
      sources.time.turn(() => {
        seen = undefined;
      });
    }
    return seen;
  };
  return {
    peers: () => look().peers,
    labelsOf: ({ config: { address } }: PeerStatus) => ({
      peer: address,
      peer_node: look().names.get(address) ?? '',
    }),
  };
}

function perFamily(
  { families }: PeerStatus,
  read: FamilyReader,
  labels: Readonly<Record<string, string>>,
): Reading[] {
  return families.map((status) => [{ ...labels, family: `ipv${status.family}` }, read(status)]);
}

/** Returns only code and subcode. The peer's text (RFC 9003) would create a new series each time. */
function withoutPeersText(notification: string): string {
  return notification.split(': ')[0]!;
}

function uptime({ state, since }: PeerStatus, now: number): number {
  return state === 'Established' ? (now - since) / 1000 : 0;
}
