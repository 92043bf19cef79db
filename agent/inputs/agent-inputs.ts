/** Everything that the calculations of the desired state read (agent/desired.ts), as one value. */
import type { EndpointStore } from '../../cni/endpoint-store.ts';
import { bgpFilterKind } from '../../datastore/schema/bgp-filter.ts';
import type { BlockAffinity, IPAMBlock } from '../../datastore/schema/ipam.ts';
import type { HostFacts } from '../../felix/calc/bgp/kernel-import.ts';
import type { ReflectorInfo } from '../../felix/calc/bgp/reflectors.ts';
import { podCidrBlocks } from '../../felix/calc/pod-cidr-blocks.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import type { NodeInfo } from '../../model/node.ts';
import { type Cluster, type ClusterObjects, clusterOf, objectsOf } from './cluster.ts';
import type { AgentConfig } from './environment.ts';
import type { ObservedHost } from './observed-host.ts';
import type { Quarantine } from './quarantine.ts';
import type { Topology } from './topology.ts';
import { absentPools, dependsOnAbsentPools } from './unreadable-pools.ts';
import type { View } from './view.ts';

export interface AgentInputs {
  readonly config: AgentConfig;
  readonly cluster: Cluster;
  /** Pods of this node. */
  readonly endpoints: readonly Endpoint[];
  readonly reflectors: readonly ReflectorInfo[];
  readonly isMeshHeld: boolean;
  /** Host name or address of the API server, as this agent uses it; IPv6 addresses in brackets. */
  readonly api: string;
  /** Names of existing BGPFilters that are unusable. */
  readonly unusableFilters: readonly string[];
  /** Facts about this host's kernel; undefined before the node is known. */
  readonly host: HostFacts | undefined;
  readonly blocks: readonly IPAMBlock[];
  readonly affinities: readonly BlockAffinity[];
}

/** Where the inputs come from. */
export interface InputSources {
  readonly config: AgentConfig;
  readonly api: string;
  readonly view: Cluster & Pick<View, 'problems'>;
  readonly quarantine: Pick<Quarantine, 'filter' | 'problems'>;
  readonly endpoints: Pick<EndpointStore, 'list'>;
  readonly topology: Pick<Topology, 'reflectors' | 'isMeshHeld'>;
  readonly host: Pick<ObservedHost, 'facts'>;
  /** Returns the node as published; undefined before. */
  readonly self: () => NodeInfo | undefined;
}

export class InputReader {
  readonly #sources: InputSources;

  constructor(sources: InputSources) {
    this.#sources = sources;
  }

  /** Returns the objects of the view. */
  objects(): ClusterObjects {
    return objectsOf(this.#sources.view);
  }

  /** Returns a cluster of these objects; by default those of the view, without objects that make a calculation throw. */
  cluster(objects: ClusterObjects = this.#sources.quarantine.filter(this.objects())): Cluster {
    const { config, view } = this.#sources;
    return clusterOf(objects, config.node, view);
  }

  /** Returns the inputs with this cluster. */
  read(cluster: Cluster = this.cluster()): AgentInputs {
    const { config, api, endpoints, topology, host, self } = this.#sources;
    return {
      config,
      cluster,
      endpoints: endpoints.list(),
      reflectors: topology.reflectors,
      isMeshHeld: topology.isMeshHeld,
      api,
      unusableFilters: this.#unusableFilters(),
      host: host.facts(self()),
      ...(config.ipam === 'host-local'
        ? podCidrBlocks(cluster.nodes())
        : { blocks: cluster.blocks(), affinities: cluster.affinities() }),
    };
  }

  /** Returns a sentence for each existing IPPool without a usable version. */
  absentPools(): string[] {
    return absentPools(this.#problems());
  }

  /** Returns why the node is not ready because of unusable IPPools. */
  lostPools(): string[] {
    const absent = this.absentPools();
    const self = this.#sources.self();
    if (!self || absent.length === 0) return [];
    const { pools } = this.cluster();
    return dependsOnAbsentPools(absent, { self, pools: pools(), blocks: this.#sources.view.blocks() });
  }

  /** Returns the names of existing BGPFilters without a usable version. */
  #unusableFilters(): string[] {
    return this.#problems().flatMap(({ problem, isAbsent }) =>
      isAbsent && problem.kind === bgpFilterKind.kind ? [problem.name] : [],
    );
  }

  #problems() {
    const { view, quarantine } = this.#sources;
    return [...view.problems(), ...quarantine.problems()];
  }
}
