/**
 * A reflector's configuration from the cluster: the nodes that BGPPeers connect to its Service are its clients, by the
 * rules of reverse peering, so that both sides follow from the same objects. An object that makes the calculation throw is
 * left out, and a BGPConfiguration that cannot be read is waited for: its defaults would be another AS.
 */
import type { Registry } from 'prom-client';
import type { DesiredSpeaker } from '../bgp/peer-config.ts';
import type { ListOptions, ObjectOf } from '../datastore/datastore.ts';
import { KubernetesClient } from '../datastore/kubernetes/client.ts';
import type { Endpoint as ApiEndpoint } from '../datastore/kubernetes/endpoint.ts';
import { RequestCounter } from '../datastore/kubernetes/request-metrics.ts';
import { describeProblem } from '../datastore/object-problem.ts';
import { type UnreadableObject, Reflector as Watch } from '../datastore/reflector.ts';
import { type BGPConfiguration, bgpConfigurationKind, bgpPeerKind } from '../datastore/schema/bgp.ts';
import { bgpFilterKind } from '../datastore/schema/bgp-filter.ts';
import { endpointSliceKind, nodeKind, serviceKind } from '../datastore/schema/core.ts';
import { ipPoolKind } from '../datastore/schema/ip-pool.ts';
import type { ResourceDefinition } from '../datastore/schema/resource.ts';
import { registerWatchMetrics, watchStates } from '../datastore/watch-metrics.ts';
import { type ReflectorInfo, reflectorName, reflectorsFrom } from '../felix/calc/bgp/reflectors.ts';
import type { SessionDefaults } from '../felix/calc/bgp/session.ts';
import { desiredSpeaker } from '../felix/calc/bgp/speaker.ts';
import { nodeInfo, nodeNames } from '../felix/calc/topology.ts';
import { Boundary } from '../lib/boundary.ts';
import { CodedError } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { ClusterObjects } from './cluster.ts';
import { Quarantine } from './quarantine.ts';
import type { ReflectorSource } from './reflector.ts';
import { OwnEndpoint } from './reflector-endpoints.ts';
import { SecretsView } from './secrets.ts';

export interface ClusterSourceOptions {
  readonly api: ApiEndpoint;
  /** Of the Service whose endpoint this process is. */
  readonly namespace: string;
  readonly service: string;
  /** The node that it runs on. */
  readonly node: string;
  readonly port: number;
  readonly identifier: string;
  readonly defaults: SessionDefaults;
}

/** Changes that come together lead to one calculation. */
const COALESCE_MS = 10;
/** A pod is among the endpoints of its Service within this time. */
const LISTED_MS = 10_000;

export class ClusterSource implements ReflectorSource {
  readonly #options: ClusterSourceOptions;
  readonly #log: Log;
  readonly #requests = new RequestCounter();
  readonly #client: KubernetesClient;
  readonly #abort = new AbortController();
  readonly #watches: Watch<ResourceDefinition>[] = [];
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
  #unsynced = 0;
  #changed = () => {};
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ClusterSourceOptions, log: Log) {
    this.#options = options;
    this.#log = log;
    this.#client = new KubernetesClient(options.api, this.#requests);
    const { namespace, service, node } = options;
    this.#name = reflectorName(`${namespace}/${service}`, node);
    this.#own = new OwnEndpoint(this.#name);
    this.#boundary = new Boundary(log);
    // Here no Node is essential.
    this.#quarantine = new Quarantine('', log);
    this.#secrets = new SecretsView(namespace, { client: this.#client, log, changed: () => this.#soon() });
    this.#nodes = this.#watch(nodeKind);
    this.#services = this.#watch(serviceKind, { namespace, fieldSelector: `metadata.name=${service}` });
    this.#slices = this.#watch(endpointSliceKind, {
      namespace,
      labelSelector: `kubernetes.io/service-name=${service}`,
    });
    this.#pools = this.#watch(ipPoolKind);
    this.#configurations = this.#watch(bgpConfigurationKind);
    this.#peers = this.#watch(bgpPeerKind);
    this.#filters = this.#watch(bgpFilterKind);
  }

  /**
   * Resolves when everything has been read once and the Service knows this reflector: with the peers of its first
   * configuration it waits for what they tell (bgp/deferral.ts), so they have to be all.
   */
  async start(changed: () => void): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#changed = () => {
        this.#boundary.run('endpoints', () => this.#reflectors(this.#objects()));
        if (this.#own.isListed) resolve();
        else timer ??= setTimeout(resolve, LISTED_MS);
      };
      for (const watch of this.#watches) void watch.run(this.#abort.signal);
    });
    clearTimeout(timer);
    if (!this.#own.isListed)
      this.#log.warn(
        { reflector: this.#name },
        'not among the endpoints of its Service, so it has no peers: compare the selector of the Service with the labels of the pod, and look for the annotation projectcalico.org/RouteReflectorClusterID',
      );
    this.#changed = changed;
  }

  identity() {
    const { identifier, port } = this.#options;
    return { identifier, port, listenAddresses: undefined };
  }

  nodeNames(): ReadonlyMap<string, string> {
    return nodeNames(values(this.#nodes).map(nodeInfo));
  }

  register(registry: Registry): void {
    this.#requests.register(registry);
    registerWatchMetrics(registry, () => watchStates(this.#watches));
  }

  configurations(): readonly BGPConfiguration[] {
    return this.#quarantine.filter(this.#objects()).BGPConfiguration;
  }

  /**
   * Throws CodedError UNREADABLE while the BGPConfiguration that counts here cannot be used, and what a calculation throws
   * that no object explains.
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
        // Each turn leaves out at least one object more.
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
      Node: values(this.#nodes),
      FelixConfiguration: [],
      BGPConfiguration: values(this.#configurations),
      IPPool: values(this.#pools),
      IPAMBlock: [],
      BlockAffinity: [],
      BGPFilter: values(this.#filters),
      BGPPeer: values(this.#peers),
      Service: values(this.#services),
      EndpointSlice: values(this.#slices),
    };
  }

  #unusableFilters(): string[] {
    return [...this.#filters.problems.values(), ...this.#quarantine.problems()].flatMap(
      ({ problem: { kind, name }, isAbsent }) => (isAbsent && kind === bgpFilterKind.kind ? [name] : []),
    );
  }

  /** Why the BGPConfiguration that counts here is not known; undefined when it is, or when there is none. */
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
    clearTimeout(this.#timer);
    this.#secrets.close();
  }

  #reflectors({ Service, EndpointSlice }: ClusterObjects): readonly ReflectorInfo[] {
    return this.#own.update(reflectorsFrom(Service, EndpointSlice, [this.#options.namespace]));
  }

  #soon(): void {
    if (this.#unsynced > 0) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#boundary.run('change', () => this.#changed()), COALESCE_MS);
  }

  #watch<D extends ResourceDefinition>(definition: D, options: ListOptions = {}): Watch<D> {
    this.#unsynced++;
    const events = {
      changed: () => this.#soon(),
      troubled: () => this.#soon(),
      synced: () => {
        this.#unsynced--;
        this.#soon();
      },
    };
    const watch = new Watch({ definition, ...options }, { client: this.#client, log: this.#log, events });
    this.#watches.push(watch as unknown as Watch<ResourceDefinition>);
    return watch;
  }
}

function values<D extends ResourceDefinition>(watch: Watch<D>): ObjectOf<D>[] {
  return [...watch.objects.values()];
}
