/** The agent's report about itself: whether pods can be added, whether the node is ready, and its faults. */
import { keyOfPeer, type PeerStatus } from '../../bgp/peer/config.ts';
import { describeProblem, type ObjectProblem } from '../../datastore/object-problem.ts';
import { asNumberOf } from '../../felix/calc/bgp/cluster.ts';
import type { ReflectorInfo } from '../../felix/calc/bgp/reflectors.ts';
import type { DataplaneStats } from '../../felix/dataplane/stats.ts';
import type { Tunnelling } from '../../ipip/tunnelling.ts';
import type { RulesTable } from '../../kernel/port.ts';
import type { Family } from '../../lib/cidr.ts';
import { VERSION } from '../../lib/version.ts';
import type { NodeInfo } from '../../model/node.ts';
import { routerIdOf } from '../identity/node-setup.ts';
import type { AgentConfig } from '../inputs/environment.ts';
import type { View } from '../inputs/view.ts';
import { NOT_STARTED, type SpeakerHost } from '../speaker/host.ts';
import { ownMissingCapabilities } from './capabilities.ts';
import type { Trouble } from './node-events.ts';
import { type AgentStatus, MAX_OBJECT_PROBLEMS } from './status.ts';

export interface ReportSources {
  readonly config: AgentConfig;
  readonly startedAt: number;
  readonly view: View;
  readonly tunnelling: Tunnelling;
  readonly host: SpeakerHost;
  /** Returns why the node is not set up; undefined when it is. */
  readonly setUpError: () => string | undefined;
  readonly self: () => NodeInfo | undefined;
  readonly families: () => readonly Family[];
  readonly stats: () => DataplaneStats | undefined;
  readonly nftables: Pick<RulesTable, 'isTried'>;
  readonly endpointCount: () => number;
  /** Reflectors in use, including recently removed ones. */
  readonly reflectors: () => readonly ReflectorInfo[];
  /** Faults of objects. */
  readonly objects: () => readonly ObjectProblem[];
  /** Failing stages of the calculation, a sentence each. */
  readonly faults: () => readonly string[];
  /** Stages that pods need and that never succeeded, a sentence each. */
  readonly withoutState: () => readonly string[];
  /** Unusable IPPools that this node depends on, a sentence each. */
  readonly lostPools: () => readonly string[];
  /** Returns why changes to BGP are on hold; undefined when they are not. */
  readonly bgpHold: () => string | undefined;
  /** Faults of this node's addresses, a sentence each. */
  readonly addressProblems: () => readonly string[];
}

/** Why pods get no network or are unreachable. */
export interface Unavailability {
  /** Faults that need action. */
  readonly broken: readonly string[];
  /** Steps of the start, which do not recur. */
  readonly starting: readonly string[];
}

/** Maximum duration of a start. A longer one is a fault. */
export const START_MS = 60_000;
/** Delay for a session that was never up, because the other agent may still be in installation. */
const FIRST_SESSION_MS = 120_000;

export class SelfReport {
  readonly #sources: ReportSources;
  /** Constant, because this process drops no capabilities. */
  readonly #missing = ownMissingCapabilities();

  constructor(sources: ReportSources) {
    this.#sources = sources;
  }

  /** Returns why pods cannot be added; undefined when they can. */
  cniNotReady(): string | undefined {
    return this.#cniBroken() ?? this.#cniStarting();
  }

  #cniBroken(): string | undefined {
    const { view, setUpError } = this.#sources;
    const error = this.#missing[0] ?? setUpError();
    if (error || view.clusterInformation()?.datastoreReady !== false) return error;
    return 'ClusterInformation default has datastoreReady: false';
  }

  #cniStarting(): string | undefined {
    const { view, tunnelling, nftables } = this.#sources;
    if (!view.isSynced) return 'the datastore is not in sync yet';
    if (!tunnelling.isObserved) return 'the kernel has not been read yet';
    return nftables.isTried ? undefined : 'the nftables table is not applied yet';
  }

  /** Returns why pods of this node get no network or are unreachable. */
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

  /** Returns problems for the operator, for Events of the Node. */
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
      ...(hold ? [{ reason: 'BGPOnHold', message: `BGP keeps its sessions unchanged: ${hold}` }] : []),
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

  /** Returns the address problems of this node. Other nodes report their own. */
  #addressProblems(): string[] {
    const { config, objects, addressProblems } = this.#sources;
    const claims = objects().filter(({ kind, name }) => kind === 'Node' && name === config.node);
    return [...addressProblems(), ...claims.map(describeProblem)];
  }

  /** Returns why the node is not ready: the network is unavailable, or all sessions are down, maybe due to peers. */
  #notReady(): string[] {
    const reasons = this.#unavailable();
    const peers = this.#nodePeers();
    const down = peers.filter(({ state }) => state !== 'Established').map(({ config }) => config.address);
    if (peers.length > 0 && down.length === peers.length)
      reasons.push(`BGP not established with ${down.join(',')}`);
    return reasons;
  }

  /**
   * Returns the peers that matter for the node's state. Excludes pods, which are added and removed often (Calico
   * B-068), and reflectors that left their Service.
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
