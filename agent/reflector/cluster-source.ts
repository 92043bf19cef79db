/**
 * A reflector's configuration from the cluster. Its clients are the nodes that BGPPeers connect to its Service, by the
 * rules of reverse peering, so that both sides derive from the same objects. Leaves out objects that make the
 * calculation throw. Waits while the BGPConfiguration is unreadable, because the defaults would mean a different AS.
 */
import type { Registry } from 'prom-client';
import type { DesiredSpeaker } from '../../bgp/peer/config.ts';
import type { ListWatch } from '../../datastore/datastore.ts';
import type { InformerTime, UnreadableObject } from '../../datastore/informer.ts';
import { Informers } from '../../datastore/informers.ts';
import { describeProblem } from '../../datastore/object-problem.ts';
import { type BGPConfiguration, bgpConfigurationKind } from '../../datastore/schema/bgp-configuration.ts';
import { bgpFilterKind } from '../../datastore/schema/bgp-filter.ts';
import { bgpPeerKind } from '../../datastore/schema/bgp-peer.ts';
import { endpointSliceKind, nodeKind, serviceKind } from '../../datastore/schema/core.ts';
import { ipPoolKind } from '../../datastore/schema/ip-pool.ts';
import { registerWatchMetrics } from '../../datastore/watch-metrics.ts';
import { type ReflectorInfo, reflectorName, reflectorsFrom } from '../../felix/calc/bgp/reflectors.ts';
import type { SessionDefaults } from '../../felix/calc/bgp/session.ts';
import { desiredSpeaker } from '../../felix/calc/bgp/speaker.ts';
import { Boundary } from '../../lib/boundary.ts';
import { CodedError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { nodeInfo, nodeNames } from '../../model/node.ts';
import { type ClusterObjects, NO_OBJECTS } from '../inputs/cluster.ts';
import { Quarantine } from '../inputs/quarantine.ts';
import { OwnEndpoint } from '../inputs/reflector-endpoints.ts';
import { SecretsView } from '../speaker/secrets.ts';
import type { ReflectorSource } from './reflector.ts';

export interface ClusterSourceOptions {
  /** Namespace of the Service that has this process as an endpoint. */
  readonly namespace: string;
  readonly service: string;
  /** The node of this process. */
  readonly node: string;
  readonly port: number;
  readonly identifier: string;
  readonly defaults: SessionDefaults;
}

export interface ClusterSourceModules {
  readonly client: ListWatch;
  /** Registers metrics of the client's requests. */
  readonly register: (registry: Registry) => void;
  readonly time: InformerTime;
  readonly log: Log;
}

/** Delay that combines changes into one calculation. */
const COALESCE_MS = 10;
/** A pod becomes an endpoint of its Service within this time. */
const LISTED_MS = 10_000;

export class ClusterSource implements ReflectorSource {
  readonly #options: ClusterSourceOptions;
  readonly #log: Log;
  readonly #registerClient: ClusterSourceModules['register'];
  readonly #time: InformerTime;
  readonly #abort = new AbortController();
  readonly #informers: Informers;
  readonly #secrets: SecretsView;
  readonly #name: string;
  readonly #own: OwnEndpoint;
  readonly #boundary: Boundary;
  readonly #quarantine: Quarantine;
  readonly #nodes;
  readonly #services;
  readonly #slices;
  readonly #pools;
  readonly #configurations;
  readonly #peers;
  readonly #filters;
  #changed = () => {};
  #cancel = () => {};

  constructor(options: ClusterSourceOptions, modules: ClusterSourceModules) {
    const { time, log } = modules;
    this.#options = options;
    this.#time = time;
    this.#registerClient = modules.register;
    this.#log = log;
    const { namespace, service, node } = options;
    this.#name = reflectorName(`${namespace}/${service}`, node);
    this.#own = new OwnEndpoint(this.#name);
    this.#boundary = new Boundary(log);
    // No Node is essential to a reflector.
    this.#quarantine = new Quarantine('', log, time);
    this.#secrets = new SecretsView(namespace, { ...modules, changed: () => this.#soon() });
    this.#informers = new Informers({ ...modules, changed: () => this.#soon() });
    this.#nodes = this.#informers.add(nodeKind);
    this.#services = this.#informers.add(serviceKind, {
      namespace,
      fieldSelector: `metadata.name=${service}`,
    });
    this.#slices = this.#informers.add(endpointSliceKind, {
      namespace,
      labelSelector: `kubernetes.io/service-name=${service}`,
    });
    this.#pools = this.#informers.add(ipPoolKind);
    this.#configurations = this.#informers.add(bgpConfigurationKind);
    this.#peers = this.#informers.add(bgpPeerKind);
    this.#filters = this.#informers.add(bgpFilterKind);
  }

  /**
   * Resolves when all kinds have been listed and the Service has this reflector as an endpoint. The first configuration
   * must contain all peers, because the speaker waits for their initial updates (bgp/graceful/deferral.ts).
   */
  async start(changed: () => void): Promise<void> {
    let cancel: (() => void) | undefined;
    await new Promise<void>((resolve) => {
      this.#changed = () => {
        this.#boundary.run('endpoints', () => this.#reflectors(this.#objects()));
        if (this.#own.isListed) resolve();
        else cancel ??= this.#time.after(LISTED_MS, resolve);
      };
      void this.#informers.run(this.#abort.signal);
    });
    cancel?.();
    if (!this.#own.isListed)
      this.#log.warn(
        { reflector: this.#name },
        'reflector is not an endpoint of its Service, so it has no peers: compare the selector of the Service with the labels of the pod, and check the annotation projectcalico.org/RouteReflectorClusterID',
      );
    this.#changed = changed;
  }

  identity() {
    const { identifier, port } = this.#options;
    return { identifier, port, listenAddresses: undefined };
  }

  nodeNames(): ReadonlyMap<string, string> {
    return nodeNames(this.#nodes.list().map(nodeInfo));
  }

  register(registry: Registry): void {
    this.#registerClient(registry);
    registerWatchMetrics(registry, () => this.#informers.watches());
  }

  configurations(): readonly BGPConfiguration[] {
    return this.#quarantine.filter(this.#objects()).BGPConfiguration;
  }

  /**
   * Calculates the desired speaker. Throws CodedError UNREADABLE while the applicable BGPConfiguration is unusable.
   * Also throws the error of a calculation when no object is the cause.
   */
  desired(): DesiredSpeaker {
    const objects = this.#objects();
    for (;;) {
      const filtered = this.#quarantine.filter(objects);
      const unknown = this.#unknownConfiguration();
      if (unknown) throw new CodedError('UNREADABLE', unknown);
      this.#secrets.follow(filtered.BGPConfiguration, filtered.BGPPeer);
      try {
        const desired = this.#calculate(filtered);
        this.#quarantine.passed(objects, filtered);
        return desired;
      } catch (error) {
        // Each turn leaves out at least one more object.
        if (!this.#quarantine.investigate(objects, (some) => void this.#calculate(some))) throw error;
      }
    }
  }

  #calculate(objects: ClusterObjects): DesiredSpeaker {
    return desiredSpeaker({
      ...this.#options.defaults,
      node: this.#name,
      nodes: objects.Node.map(nodeInfo),
      reflectors: this.#reflectors(objects),
      configurations: objects.BGPConfiguration,
      peers: objects.BGPPeer,
      filters: objects.BGPFilter,
      unusableFilters: this.#unusableFilters(),
      pools: objects.IPPool,
      secrets: this.#secrets.value,
      originated: [],
    });
  }

  #objects(): ClusterObjects {
    return {
      ...NO_OBJECTS,
      Node: this.#nodes.list(),
      BGPConfiguration: this.#configurations.list(),
      IPPool: this.#pools.list(),
      BGPFilter: this.#filters.list(),
      BGPPeer: this.#peers.list(),
      Service: this.#services.list(),
      EndpointSlice: this.#slices.list(),
    };
  }

  #unusableFilters(): string[] {
    return [...this.#filters.problems.values(), ...this.#quarantine.problems()].flatMap(
      ({ problem: { kind, name }, isAbsent }) => (isAbsent && kind === bgpFilterKind.kind ? [name] : []),
    );
  }

  /** Returns why the applicable BGPConfiguration is unusable; undefined when it is usable or does not exist. */
  #unknownConfiguration(): string | undefined {
    const troubled: UnreadableObject[] = [
      ...this.#configurations.problems.values(),
      ...this.#quarantine.problems(),
    ];
    const found = troubled.find(
      ({ problem: { kind, name }, isAbsent }) =>
        isAbsent && kind === bgpConfigurationKind.kind && name === 'default',
    );
    return found && `waiting until this is corrected: ${describeProblem(found.problem)}`;
  }

  close(): void {
    this.#abort.abort();
    this.#cancel();
    this.#secrets.close();
  }

  #reflectors({ Service, EndpointSlice }: ClusterObjects): readonly ReflectorInfo[] {
    return this.#own.update(reflectorsFrom(Service, EndpointSlice, [this.#options.namespace]));
  }

  #soon(): void {
    if (!this.#informers.isSynced) return;
    this.#cancel();
    const run = () => this.#boundary.run('change', () => this.#changed());
    this.#cancel = this.#time.after(COALESCE_MS, run);
  }
}
