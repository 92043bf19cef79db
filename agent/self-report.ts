/** What an agent says of itself: whether pods can be added, whether the node is ready, and what is wrong. */
import { keyOfPeer, type PeerStatus } from '../bgp/peer-config.ts';
import { describeProblem, type ObjectProblem } from '../datastore/object-problem.ts';
import { asNumberOf } from '../felix/calc/bgp/cluster.ts';
import type { ReflectorInfo } from '../felix/calc/bgp/reflectors.ts';
import type { NodeInfo } from '../felix/calc/topology.ts';
import type { DataplaneStats } from '../felix/dataplane/dataplane.ts';
import type { Nftables } from '../felix/dataplane/nftables.ts';
import type { Family } from '../lib/cidr.ts';
import { VERSION } from '../lib/version.ts';
import { ownMissingCapabilities } from './capabilities.ts';
import type { AgentConfig } from './config.ts';
import type { Trouble } from './node-events.ts';
import { routerIdOf } from './node-setup.ts';
import { NOT_STARTED, type SpeakerHost } from './speaker-host.ts';
import { type AgentStatus, MAX_OBJECT_PROBLEMS } from './status.ts';
import type { Tunnelling } from './tunnelling.ts';
import type { View } from './view.ts';

export interface ReportSources {
  readonly config: AgentConfig;
  readonly startedAt: number;
  readonly view: View;
  readonly tunnelling: Tunnelling;
  readonly host: SpeakerHost;
  /** Why the node is not set up; undefined when it is. */
  readonly setUpError: () => string | undefined;
  readonly self: () => NodeInfo | undefined;
  readonly families: () => readonly Family[];
  readonly stats: () => DataplaneStats | undefined;
  readonly nftables: Nftables;
  readonly endpointCount: () => number;
  /** Reflectors to reckon with, those that have gone included. */
  readonly reflectors: () => readonly ReflectorInfo[];
  /** Objects that cannot be used as they are. */
  readonly objects: () => readonly ObjectProblem[];
  /** Stages of the calculation that fail. */
  readonly faults: () => readonly string[];
  /** Stages without which no pod is networked, and that have failed since the start. */
  readonly withoutState: () => readonly string[];
  /** IPPools that cannot be used and on which this node depends, a sentence each. */
  readonly lostPools: () => readonly string[];
  /** Why changes to BGP wait; undefined when they do not. */
  readonly bgpHold: () => string | undefined;
  /** What is wrong with this node's addresses, a sentence each. */
  readonly addressProblems: () => readonly string[];
}

/** Why pods cannot be networked or reached. */
export interface Unavailability {
  /** Somebody has to act. */
  readonly broken: readonly string[];
  /** What an agent that starts does first, and then never says again. */
  readonly starting: readonly string[];
}

/** A start that takes longer is a fault. */
export const START_MS = 60_000;
/** A session that has never been up may wait for an agent that is being installed. */
const FIRST_SESSION_MS = 120_000;

export class SelfReport {
  readonly #sources: ReportSources;
  /** Fixed for the life of a process that gives none back. */
  readonly #missing = ownMissingCapabilities();

  constructor(sources: ReportSources) {
    this.#sources = sources;
  }

  /** Why no pod can be added; undefined when one can. */
  cniNotReady(): string | undefined {
    return this.#cniBroken() ?? this.#cniStarting();
  }

  #cniBroken(): string | undefined {
    const { view, setUpError } = this.#sources;
    const error = this.#missing[0] ?? setUpError();
    if (error || view.clusterInformation()?.datastoreReady !== false) return error;
    return 'ClusterInformation default says datastoreReady: false';
  }

  #cniStarting(): string | undefined {
    const { view, tunnelling, nftables } = this.#sources;
    if (!view.isSynced) return 'the datastore is not in sync yet';
    if (!tunnelling.isObserved) return 'the kernel has not been looked at yet';
    return nftables.isTried ? undefined : 'the nftables table is not in force yet';
  }

  /** Why pods of this node cannot be networked or reached. */
  unavailability(): Unavailability {
    const { config, tunnelling, host, view } = this.#sources;
    const isStarting = host.error === NOT_STARTED;
    const bgp = config.backend === 'bird' && host.error ? [`BGP: ${host.error}`] : [];
    const isKnown = !view.isSynced || view.nodes().some(({ metadata }) => metadata.name === config.node);
    return {
      broken: [
        ...present(this.#cniBroken()),
        ...(isKnown
          ? []
          : [`Node ${config.node} does not exist in the API: no other node peers with this one`]),
        ...(isStarting ? [] : bgp),
        ...tunnelling.notReady(),
        ...this.#sources.lostPools(),
        ...this.#sources.withoutState(),
      ],
      starting: [...present(this.#cniStarting()), ...(isStarting ? bgp : [])],
    };
  }

  #unavailable(): string[] {
    const { broken, starting } = this.unavailability();
    return [...broken, ...starting];
  }

  /** What an operator must know, for Events of the Node. */
  troubles(): Trouble[] {
    const { tunnelling, stats } = this.#sources;
    const hold = this.#sources.bgpHold();
    const applied = stats();
    const isApplied = applied !== undefined && applied.applies > 0;
    const down = this.#nodePeers().filter(({ state }) => state !== 'Established');
    const { broken, starting } = this.unavailability();
    return [
      ...broken.map((message) => ({ reason: 'NetworkNotReady', message })),
      ...starting.map((message) => ({ reason: 'NetworkNotReady', message, patienceMs: START_MS })),
      ...down.map(({ config: { address, peerType }, lastError, flaps }) => ({
        reason: 'BGPSessionDown',
        message: `The BGP session with ${address} (${peerType}) is down`,
        cause: lastError,
        ...(flaps === 0 ? { patienceMs: FIRST_SESSION_MS } : {}),
      })),
      ...this.#addressProblems().map((message) => ({ reason: 'AddressProblem', message })),
      ...(hold ? [{ reason: 'BGPOnHold', message: `BGP keeps its sessions as they are: ${hold}` }] : []),
      ...(isApplied ? applied.problems : []).map((message) => ({ reason: 'DataplaneProblem', message })),
      ...tunnelling.warnings().map((message) => ({ reason: 'TunnelProblem', message })),
      ...this.#sources.faults().map((message) => ({ reason: 'CalculationFailed', message })),
    ];
  }

  status(): AgentStatus {
    const { config, startedAt, view, tunnelling, host, families, endpointCount } = this.#sources;
    const self = this.#sources.self();
    const stats = this.#sources.stats();
    const objects = this.#sources.objects();
    return {
      node: config.node,
      version: VERSION,
      pid: process.pid,
      startedAt,
      notReady: this.#notReady(),
      bgp: {
        error: host.error,
        onHold: host.error === undefined ? this.#sources.bgpHold() : undefined,
        asNumber: self && asNumberOf(self, view.bgpConfigurations()),
        routerId: self && routerIdOf(config, self),
        families: families(),
        isSettled: host.speaker?.isSettled ?? false,
        peers: this.#nodePeers(),
      },
      tunnels: tunnelling.status(),
      podMtu: tunnelling.podMtu(),
      dataplane: {
        routes: stats?.routes ?? 0,
        problems: [
          ...this.#sources.addressProblems(),
          ...(stats?.problems ?? []),
          ...tunnelling.warnings(),
          ...this.#sources.faults(),
        ],
      },
      endpoints: endpointCount(),
      objects: objects.slice(0, MAX_OBJECT_PROBLEMS),
      objectProblems: objects.length,
      notices: view.notices().slice(0, MAX_OBJECT_PROBLEMS),
    };
  }

  /** Those of this node: each node says its own. */
  #addressProblems(): string[] {
    const { config, objects, addressProblems } = this.#sources;
    const claims = objects().filter(({ kind, name }) => kind === 'Node' && name === config.node);
    return [...addressProblems(), ...claims.map(describeProblem)];
  }

  /** Why the network is unavailable, and that nobody answers: which may be the others' fault. */
  #notReady(): string[] {
    const reasons = this.#unavailable();
    const peers = this.#nodePeers();
    const down = peers.filter(({ state }) => state !== 'Established').map(({ config }) => config.address);
    if (peers.length > 0 && down.length === peers.length)
      reasons.push(`BGP not established with ${down.join(',')}`);
    return reasons;
  }

  /**
   * Peers that say something about the node: pods that are BGP peers come and go (Calico B-068), and a reflector that has
   * left its Service is no trouble.
   */
  #nodePeers(): PeerStatus[] {
    const { host, reflectors } = this.#sources;
    const departed = new Set(
      reflectors()
        .filter(({ isLive }) => !isLive)
        .flatMap(({ addresses, port }) =>
          Object.values(addresses).map(({ address }) => keyOfPeer({ address, port })),
        ),
    );
    return (host.speaker?.status() ?? []).filter(
      ({ config, state, isRetiring }) =>
        config.peerType !== 'local workload' &&
        !isRetiring &&
        (state === 'Established' || !departed.has(keyOfPeer(config))),
    );
  }
}

function present(text: string | undefined): string[] {
  return text === undefined ? [] : [text];
}
