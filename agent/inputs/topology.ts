/**
 * What this node peers with besides BGPPeers: the reflectors in use, and a mesh that was disabled just now. Requests a
 * recalculation when one of them expires.
 */
import { type ReflectorInfo, reflectorsFrom } from '../../felix/calc/bgp/reflectors.ts';
import type { Clock } from '../../lib/time.ts';
import type { Cluster } from './cluster.ts';
import type { AgentConfig } from './environment.ts';
import { MeshHold } from './mesh-hold.ts';
import { ReflectorEndpoints } from './reflector-endpoints.ts';

export type TopologyOptions = Pick<AgentConfig, 'reflectorNamespaces' | 'restartTimeSeconds'>;

export class Topology {
  readonly #namespaces: readonly string[];
  readonly #modules: { clock: Clock; changed: () => void };
  readonly #endpoints: ReflectorEndpoints;
  readonly #meshHold = new MeshHold();
  #reflectors: readonly ReflectorInfo[] = [];
  #isMeshHeld = false;
  #cancel = () => {};

  constructor(options: TopologyOptions, modules: { clock: Clock; changed: () => void }) {
    this.#namespaces = options.reflectorNamespaces;
    this.#endpoints = new ReflectorEndpoints(options.restartTimeSeconds * 1000);
    this.#modules = modules;
  }

  /** Reflectors in use, including recently removed ones. */
  get reflectors(): readonly ReflectorInfo[] {
    return this.#reflectors;
  }

  /** Whether the mesh is kept although it is disabled. */
  get isMeshHeld(): boolean {
    return this.#isMeshHeld;
  }

  /** Applies the cluster's objects, and schedules the next expiry. */
  update(cluster: Pick<Cluster, 'bgpConfigurations' | 'services' | 'slices'>): void {
    const { clock, changed } = this.#modules;
    const now = clock.now();
    const heldMs = this.#meshHold.update(cluster.bgpConfigurations(), now);
    this.#isMeshHeld = heldMs > 0;
    const found = reflectorsFrom(cluster.services(), cluster.slices(), this.#namespaces);
    this.#reflectors = this.#endpoints.update(found, now);
    this.#cancel();
    const times = [this.#endpoints.nextChange(now), this.#isMeshHeld ? heldMs : undefined];
    const next = Math.min(...times.filter((time) => time !== undefined));
    if (Number.isFinite(next)) this.#cancel = clock.after(next, changed);
  }

  close(): void {
    this.#cancel();
  }
}
