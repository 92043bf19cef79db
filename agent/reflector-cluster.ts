/**
 * A reflector's configuration from the cluster: the nodes that BGPPeers connect to its Service are its clients, by the
 * rules of reverse peering, so that both sides follow from the same objects.
 */
import type { Registry } from 'prom-client';
import type { DesiredSpeaker } from '../bgp/peer-config.ts';
import type { ListOptions, ObjectOf } from '../datastore/datastore.ts';
import { KubernetesClient } from '../datastore/kubernetes/client.ts';
import type { Endpoint as ApiEndpoint } from '../datastore/kubernetes/endpoint.ts';
import { RequestCounter } from '../datastore/kubernetes/request-metrics.ts';
import { Reflector as Watch } from '../datastore/reflector.ts';
import { type BGPConfiguration, bgpConfigurationKind, bgpPeerKind } from '../datastore/schema/bgp.ts';
import { bgpFilterKind } from '../datastore/schema/bgp-filter.ts';
import { endpointSliceKind, nodeKind, serviceKind } from '../datastore/schema/core.ts';
import { ipPoolKind } from '../datastore/schema/ip-pool.ts';
import type { ResourceDefinition } from '../datastore/schema/resource.ts';
import { type ReflectorInfo, reflectorName, reflectorsFrom } from '../felix/calc/bgp/reflectors.ts';
import type { SessionDefaults } from '../felix/calc/bgp/session.ts';
import { desiredSpeaker } from '../felix/calc/bgp/speaker.ts';
import { nodeInfo } from '../felix/calc/topology.ts';
import type { Log } from '../lib/log.ts';
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
        this.#reflectors();
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

  register(registry: Registry): void {
    this.#requests.register(registry);
  }

  configurations(): readonly BGPConfiguration[] {
    return values(this.#configurations);
  }

  desired(): DesiredSpeaker {
    const { defaults } = this.#options;
    const configurations = this.configurations();
    const peers = values(this.#peers);
    this.#secrets.follow(configurations, peers);
    return desiredSpeaker({
      ...defaults,
      node: this.#name,
      nodes: values(this.#nodes).map(nodeInfo),
      reflectors: this.#reflectors(),
      configurations,
      peers,
      filters: values(this.#filters),
      pools: values(this.#pools),
      secrets: this.#secrets.value,
      originated: [],
    });
  }

  close(): void {
    this.#abort.abort();
    clearTimeout(this.#timer);
    this.#secrets.close();
  }

  #reflectors(): readonly ReflectorInfo[] {
    return this.#own.update(
      reflectorsFrom(values(this.#services), values(this.#slices), [this.#options.namespace]),
    );
  }

  #soon(): void {
    if (this.#unsynced > 0) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#changed(), COALESCE_MS);
  }

  #watch<D extends ResourceDefinition>(definition: D, options: ListOptions = {}): Watch<D> {
    this.#unsynced++;
    const events = {
      changed: () => this.#soon(),
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
