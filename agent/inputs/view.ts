/** The agent's copy of the datastore: the kinds that it follows, and typed access to their objects. */
import type { Listing } from '../../datastore/datastore.ts';
import type { UnreadableObject } from '../../datastore/informer.ts';
import { Informers, type InformersModules, type SyncState } from '../../datastore/informers.ts';
import { bgpConfigurationKind } from '../../datastore/schema/bgp-configuration.ts';
import { bgpFilterKind } from '../../datastore/schema/bgp-filter.ts';
import { bgpPeerKind } from '../../datastore/schema/bgp-peer.ts';
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
import type { WatchStates } from '../../datastore/watch-metrics.ts';
import { blockProblems, hasOwnName } from '../../ipam/block-faults.ts';
import type { IpamView } from '../../ipam/view.ts';

export class View implements IpamView {
  readonly #node: string;
  readonly #informers: Informers;
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

  constructor(node: string, modules: InformersModules) {
    this.#node = node;
    this.#informers = new Informers(modules);
    this.#nodes = this.#informers.add(nodeKind);
    this.#pools = this.#informers.add(ipPoolKind);
    this.#blocks = this.#informers.add(ipamBlockKind);
    this.#affinities = this.#informers.add(blockAffinityKind);
    this.#ipamConfigurations = this.#informers.add(ipamConfigurationKind);
    this.#reservations = this.#informers.add(ipReservationKind);
    this.#bgpConfigurations = this.#informers.add(bgpConfigurationKind);
    this.#bgpPeers = this.#informers.add(bgpPeerKind);
    this.#bgpFilters = this.#informers.add(bgpFilterKind);
    this.#services = this.#informers.add(serviceKind);
    this.#slices = this.#informers.add(endpointSliceKind);
    this.#clusterInformation = this.#informers.add(clusterInformationKind);
    this.#felixConfigurations = this.#informers.add(felixConfigurationKind);
    this.#nodeStatuses = this.#informers.add(calicoNodeStatusKind);
    // CNI calls read pods. Calculations use them only when a BGPPeer selects pods.
    const podsChanged = () => {
      if (this.bgpPeers().some(({ spec }) => spec.localWorkloadSelector)) modules.changed();
    };
    this.#pods = this.#informers.add(podKind, { fieldSelector: `spec.nodeName=${node}` }, podsChanged);
    // Selectors match labels of namespaces as labels of their pods.
    this.#namespaces = this.#informers.add(namespaceKind, {}, podsChanged);
  }

  /** Follows the datastore until the signal aborts. */
  run(signal: AbortSignal): Promise<void> {
    return this.#informers.run(signal);
  }

  /** Resolves to the objects of a kind when it has been listed; undefined for a kind that is not followed in full. */
  listed<D extends ResourceDefinition>(definition: D): Promise<Listing<D>> | undefined {
    return this.#informers.listed(definition);
  }

  get isSynced(): boolean {
    return this.#informers.isSynced;
  }

  /** Progress of the first lists. */
  get sync(): SyncState {
    return this.#informers.sync;
  }

  /** Whether the watch of each resource is open. */
  watches(): WatchStates {
    return this.#informers.watchStates();
  }

  /** Why the copy may be outdated; empty while all watches are open. */
  get staleReasons(): string[] {
    return this.#informers.staleReasons;
  }

  /** Returns sentences about fields without effect. */
  notices(): readonly string[] {
    return this.#informers.notices();
  }

  /** Returns objects with faults. */
  problems(): UnreadableObject[] {
    return [
      ...this.#informers.problems(),
      ...blockProblems(this.#blocks.list()).map(({ block, problem }) => ({
        problem,
        uid: block.metadata.uid,
        conditions: undefined,
        isAbsent: !hasOwnName(block),
      })),
    ];
  }

  pod = (namespace: string, name: string) => this.#pods.objects.get(`${namespace}/${name}`);
  namespace = (name: string) => this.#namespaces.objects.get(name);
  nodes = () => this.#nodes.list();
  pools = () => this.#pools.list();
  /** Blocks whose name matches their network. */
  blocks = () => this.#blocks.list().filter(hasOwnName);
  affinities = () => this.#affinities.list();
  reservations = () => this.#reservations.list();
  bgpConfigurations = () => this.#bgpConfigurations.list();
  bgpPeers = () => this.#bgpPeers.list();
  bgpFilters = () => this.#bgpFilters.list();
  services = () => this.#services.list();
  slices = () => this.#slices.list();
  nodeStatuses = () => this.#nodeStatuses.list();
  felixConfigurations = () => this.#felixConfigurations.list();
  configuration = () => this.#ipamConfigurations.objects.get('default')?.spec;
  clusterInformation = () => this.#clusterInformation.objects.get('default')?.spec;
  nodeLabels = () => this.#nodes.objects.get(this.#node)?.metadata.labels ?? {};
}
