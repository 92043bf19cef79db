/** The agent's copy of the datastore: an informer per kind, and one signal when all are in sync. */
import type { Listing, ListOptions, ObjectOf } from '../../datastore/datastore.ts';
import { Informer, type UnreadableObject } from '../../datastore/informer.ts';
import type { KubernetesClient } from '../../datastore/kubernetes/client.ts';
import { bgpConfigurationKind, bgpPeerKind } from '../../datastore/schema/bgp.ts';
import { bgpFilterKind } from '../../datastore/schema/bgp-filter.ts';
import { clusterInformationKind, felixConfigurationKind } from '../../datastore/schema/cluster.ts';
import {
  endpointSliceKind,
  namespaceKind,
  nodeKind,
  podKind,
  serviceKind,
} from '../../datastore/schema/core.ts';
import { ipPoolKind } from '../../datastore/schema/ip-pool.ts';
import {
  blockAffinityKind,
  ipamBlockKind,
  ipamConfigurationKind,
  ipReservationKind,
} from '../../datastore/schema/ipam.ts';
import { calicoNodeStatusKind } from '../../datastore/schema/node-status.ts';
import type { ResourceDefinition } from '../../datastore/schema/resource.ts';
import { type WatchStates, watchStates } from '../../datastore/watch-metrics.ts';
import { blockProblems, hasOwnName } from '../../ipam/block-faults.ts';
import type { IpamView } from '../../ipam/ipam.ts';
import type { Log } from '../../lib/log.ts';

/** Progress of the first lists of all kinds. */
export type SyncState = 'waiting' | 'resyncing' | 'in sync';

export class View implements IpamView {
  readonly #node: string;
  readonly #informers: Informer<ResourceDefinition>[] = [];
  readonly #nodes;
  readonly #pools;
  readonly #blocks;
  readonly #affinities;
  readonly #ipamConfigurations;
  readonly #reservations;
  readonly #bgpConfigurations;
  readonly #bgpPeers;
  readonly #bgpFilters;
  readonly #services;
  readonly #slices;
  readonly #clusterInformation;
  readonly #felixConfigurations;
  readonly #nodeStatuses;
  readonly #pods;
  readonly #namespaces;
  #unsynced = 0;
  /** By kind; each resolves when the kind has been listed. */
  readonly #first = new Map<ResourceDefinition, Promise<Informer<ResourceDefinition>>>();

  constructor(node: string, modules: { client: KubernetesClient; log: Log; changed: () => void }) {
    this.#node = node;
    const follow = <D extends ResourceDefinition>(
      definition: D,
      options: ListOptions = {},
      changed = modules.changed,
    ): Informer<D> => {
      this.#unsynced++;
      let listed: () => void = () => undefined;
      const first = new Promise<void>((resolve) => {
        listed = resolve;
      });
      const events = {
        changed: () => changed(),
        synced: () => {
          this.#unsynced--;
          listed();
          modules.changed();
        },
        troubled: modules.changed,
      };
      const informer = new Informer(
        { definition, ...options },
        { client: modules.client, log: modules.log, events },
      );
      const any = informer as unknown as Informer<ResourceDefinition>;
      this.#informers.push(any);
      if (Object.keys(options).length === 0)
        this.#first.set(
          definition,
          first.then(() => any),
        );
      return informer;
    };
    this.#nodes = follow(nodeKind);
    this.#pools = follow(ipPoolKind);
    this.#blocks = follow(ipamBlockKind);
    this.#affinities = follow(blockAffinityKind);
    this.#ipamConfigurations = follow(ipamConfigurationKind);
    this.#reservations = follow(ipReservationKind);
    this.#bgpConfigurations = follow(bgpConfigurationKind);
    this.#bgpPeers = follow(bgpPeerKind);
    this.#bgpFilters = follow(bgpFilterKind);
    this.#services = follow(serviceKind);
    this.#slices = follow(endpointSliceKind);
    this.#clusterInformation = follow(clusterInformationKind);
    this.#felixConfigurations = follow(felixConfigurationKind);
    this.#nodeStatuses = follow(calicoNodeStatusKind);
    // CNI calls read pods. Calculations use them only when a BGPPeer selects pods.
    const podsChanged = () => {
      if (this.bgpPeers().some(({ spec }) => spec.localWorkloadSelector)) modules.changed();
    };
    this.#pods = follow(podKind, { fieldSelector: `spec.nodeName=${node}` }, podsChanged);
    // Selectors match labels of namespaces as labels of their pods.
    this.#namespaces = follow(namespaceKind, {}, podsChanged);
  }

  /** Follows the datastore until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#informers.map((informer) => informer.run(signal)));
  }

  /** Resolves to the objects of a kind when it has been listed; undefined for a kind that is not followed in full. */
  listed<D extends ResourceDefinition>(definition: D): Promise<Listing<D>> | undefined {
    return this.#first.get(definition)?.then(({ objects, problems }) => ({
      items: [...objects.values()] as ObjectOf<D>[],
      problems: [...problems.values()].map(({ problem }) => problem),
    }));
  }

  get isSynced(): boolean {
    return this.#unsynced === 0;
  }

  /** Progress of the first lists. */
  get sync(): SyncState {
    if (this.isSynced) return 'in sync';
    return this.#unsynced < this.#informers.length ? 'resyncing' : 'waiting';
  }

  /** Whether the watch of each resource is open. */
  watches(): WatchStates {
    return watchStates(this.#informers);
  }

  /** Why the copy may be outdated; empty while all watches are open. */
  get staleReasons(): string[] {
    return this.#informers.flatMap(({ staleReason }) => staleReason ?? []);
  }

  /** Returns sentences about fields without effect. */
  notices(): readonly string[] {
    return this.#informers.flatMap(({ notices }) => notices);
  }

  /** Returns objects with faults. */
  problems(): UnreadableObject[] {
    return [
      ...this.#informers.flatMap(({ problems }) => [...problems.values()]),
      ...blockProblems(values(this.#blocks)).map(({ block, problem }) => ({
        problem,
        uid: block.metadata.uid,
        conditions: undefined,
        isAbsent: !hasOwnName(block),
      })),
    ];
  }

  pod = (namespace: string, name: string) => this.#pods.objects.get(`${namespace}/${name}`);
  namespace = (name: string) => this.#namespaces.objects.get(name);
  nodes = () => values(this.#nodes);
  pools = () => values(this.#pools);
  /** Blocks whose name matches their network. */
  blocks = () => values(this.#blocks).filter(hasOwnName);
  affinities = () => values(this.#affinities);
  reservations = () => values(this.#reservations);
  bgpConfigurations = () => values(this.#bgpConfigurations);
  bgpPeers = () => values(this.#bgpPeers);
  bgpFilters = () => values(this.#bgpFilters);
  services = () => values(this.#services);
  slices = () => values(this.#slices);
  nodeStatuses = () => values(this.#nodeStatuses);
  felixConfigurations = () => values(this.#felixConfigurations);
  configuration = () => this.#ipamConfigurations.objects.get('default')?.spec;
  clusterInformation = () => this.#clusterInformation.objects.get('default')?.spec;
  nodeLabels = () => this.#nodes.objects.get(this.#node)?.metadata.labels ?? {};
}

function values<D extends ResourceDefinition>(informer: Informer<D>): ObjectOf<D>[] {
  return [...informer.objects.values()];
}
