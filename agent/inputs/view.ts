/** The agent's copy of the datastore: the kinds that it follows, and typed access to their objects. */
import type { UnreadableObject } from '../../datastore/informer.ts';
import { Informers, type InformersModules } from '../../datastore/informers.ts';
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
import { blockProblems, hasOwnName } from '../../ipam/block-faults.ts';
import type { IpamView } from '../../ipam/view.ts';

/** Each kind is a line here: a function that lists its objects, or an informer for access by name. */
export class View extends Informers implements IpamView {
  readonly #node: string;
  readonly #nodes = this.add(nodeKind);
  readonly #blocks = this.add(ipamBlockKind);
  readonly #ipamConfigurations = this.add(ipamConfigurationKind);
  readonly #clusterInformation = this.add(clusterInformationKind);
  readonly #pods;
  readonly #namespaces;
  readonly pools = this.list(ipPoolKind);
  readonly affinities = this.list(blockAffinityKind);
  readonly reservations = this.list(ipReservationKind);
  readonly bgpConfigurations = this.list(bgpConfigurationKind);
  readonly bgpPeers = this.list(bgpPeerKind);
  readonly bgpFilters = this.list(bgpFilterKind);
  readonly services = this.list(serviceKind);
  readonly slices = this.list(endpointSliceKind);
  readonly felixConfigurations = this.list(felixConfigurationKind);
  readonly nodeStatuses = this.list(calicoNodeStatusKind);

  constructor(node: string, modules: InformersModules) {
    super(modules);
    this.#node = node;
    // CNI calls read pods. Calculations use them only when a BGPPeer selects pods.
    const podsChanged = () => {
      if (this.bgpPeers().some(({ spec }) => spec.localWorkloadSelector)) modules.changed();
    };
    this.#pods = this.add(podKind, { fieldSelector: `spec.nodeName=${node}` }, podsChanged);
    // Selectors match labels of namespaces as labels of their pods.
    this.#namespaces = this.add(namespaceKind, {}, podsChanged);
  }

  nodes = () => this.#nodes.list();
  /** Blocks whose name matches their network. */
  blocks = () => this.#blocks.list().filter(hasOwnName);
  pod = (namespace: string, name: string) => this.#pods.objects.get(`${namespace}/${name}`);
  namespace = (name: string) => this.#namespaces.objects.get(name);
  configuration = () => this.#ipamConfigurations.objects.get('default')?.spec;
  clusterInformation = () => this.#clusterInformation.objects.get('default')?.spec;
  nodeLabels = () => this.#nodes.objects.get(this.#node)?.metadata.labels ?? {};

  /** Returns objects with faults. */
  override problems(): UnreadableObject[] {
    return [
      ...super.problems(),
      ...blockProblems(this.#blocks.list()).map(({ block, problem }) => ({
        problem,
        uid: block.metadata.uid,
        conditions: undefined,
        isAbsent: !hasOwnName(block),
      })),
    ];
  }
}
