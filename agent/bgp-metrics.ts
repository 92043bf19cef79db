/** Prometheus metrics of the BGP speaker: of a node and of a reflector. */
import { Gauge, Histogram, type Registry } from 'prom-client';
import type { FamilyStatus, PeerStatus } from '../bgp/peer-config.ts';
import { rejectionKinds } from '../bgp/policy/rejection.ts';

export interface BgpMetrics {
  /** Seconds from the first change of a turn until all peers were told. */
  readonly observeConvergence: (seconds: number) => void;
}

export interface BgpMetricSources {
  readonly peers: () => readonly PeerStatus[];
  readonly routes: () => number;
}

type PeerReader = (peer: PeerStatus) => number;
type FamilyReader = (status: FamilyStatus) => number;

const perPeer: readonly (readonly [string, string, PeerReader])[] = [
  ['up', '1 while the session is Established', ({ state }) => Number(state === 'Established')],
  ['uptime_seconds', 'Age of the established session, 0 while it is down', uptime],
  ['flaps_total', 'Times that the session left Established', ({ flaps }) => flaps],
  ['messages_received_total', 'Messages received', ({ messagesReceived }) => messagesReceived],
  ['messages_sent_total', 'Messages sent', ({ messagesSent }) => messagesSent],
  ['updates_received_total', 'UPDATEs received', ({ updatesReceived }) => updatesReceived],
  ['updates_sent_total', 'UPDATEs sent', ({ updatesSent }) => updatesSent],
  ['queued_octets', 'Octets that wait for the peer to read', ({ queuedOctets }) => queuedOctets],
];

const perFamily: readonly (readonly [string, string, FamilyReader])[] = [
  ['prefixes_received', 'Paths in Adj-RIB-In', ({ received }) => received],
  ['prefixes_accepted', 'Paths in Adj-RIB-In that may be used', ({ accepted }) => accepted],
  ['prefixes_best', 'Paths of the peer that are the best', ({ best }) => best],
  ['prefixes_sent', 'Paths in Adj-RIB-Out', ({ advertised }) => advertised],
];

export function registerBgpMetrics(registry: Registry, sources: BgpMetricSources): BgpMetrics {
  const registers = [registry];
  // One look at the peers serves all gauges of a scrape: they are collected in the same turn.
  let seen: readonly PeerStatus[] | undefined;
  const peers = () => {
    if (!seen) {
      // A retiring peer may have the address of its successor.
      seen = sources.peers().filter(({ isRetiring }) => !isRetiring);
      setImmediate(() => {
        seen = undefined;
      });
    }
    return seen;
  };
  for (const [name, help, read] of perPeer) {
    new Gauge({
      name: `cali_bgp_peer_${name}`,
      help,
      registers,
      labelNames: ['peer'],
      collect() {
        this.reset();
        for (const peer of peers()) this.set({ peer: peer.config.address }, read(peer));
      },
    });
  }
  for (const [name, help, read] of perFamily) {
    new Gauge({
      name: `cali_bgp_peer_${name}`,
      help,
      registers,
      labelNames: ['peer', 'family'],
      collect() {
        this.reset();
        for (const peer of peers())
          for (const status of peer.families)
            this.set({ peer: peer.config.address, family: `ipv${status.family}` }, read(status));
      },
    });
  }
  new Gauge({
    name: 'cali_bgp_peer_last_notification_info',
    help: 'The last NOTIFICATION that was received, as label; always 1',
    registers,
    labelNames: ['peer', 'notification'],
    collect() {
      this.reset();
      for (const { config, lastNotification } of peers())
        if (lastNotification) this.set({ peer: config.address, notification: lastNotification }, 1);
    },
  });
  new Gauge({
    name: 'cali_bgp_rib_prefixes',
    help: 'Prefixes in the RIB',
    registers,
    collect() {
      this.set(sources.routes());
    },
  });
  new Gauge({
    name: 'cali_bgp_paths_refused',
    help: 'Paths in Adj-RIB-In that are not used, by class of the reason; calictl bgp neighbor has the sentences',
    registers,
    labelNames: ['family', 'reason'],
    collect() {
      this.reset();
      for (const family of ['ipv4', 'ipv6'])
        for (const reason of rejectionKinds) this.set({ family, reason }, 0);
      for (const peer of peers())
        for (const { family, refused } of peer.families)
          for (const { kind, count } of refused) this.inc({ family: `ipv${family}`, reason: kind }, count);
    },
  });
  new Gauge({
    name: 'cali_bgp_routes_too_long',
    help: 'Routes that peers are not told because their attributes fit into no message to them',
    registers,
    collect() {
      const counts = peers().flatMap((peer) => peer.families.map(({ tooLong }) => tooLong.count));
      this.set(counts.reduce((sum, count) => sum + count, 0));
    },
  });
  const convergence = new Histogram({
    name: 'cali_bgp_convergence_seconds',
    help: 'Time from the first change of a turn until it was sent to all peers',
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
    registers,
  });
  return { observeConvergence: (seconds) => convergence.observe(seconds) };
}

function uptime({ state, since }: PeerStatus): number {
  return state === 'Established' ? (Date.now() - since) / 1000 : 0;
}
