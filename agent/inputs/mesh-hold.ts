/**
 * Keeps the mesh for a short time after it is disabled. The objects of a manifest arrive one after the other, so "mesh
 * disabled" can arrive before the peers that replace it.
 */
import type { BGPConfiguration } from '../../datastore/schema/bgp-configuration.ts';
import { defaultsOf } from '../../felix/calc/bgp/cluster.ts';

const HOLD_MS = 5_000;

export class MeshHold {
  #wasOn = false;
  #offSince: number | undefined;

  /** Applies the configuration. Returns for how long to keep a disabled mesh, milliseconds. `now` in milliseconds. */
  update(configurations: readonly BGPConfiguration[], now: number): number {
    const isOn = defaultsOf(configurations).nodeToNodeMeshEnabled ?? true;
    if (isOn) this.#offSince = undefined;
    else if (this.#wasOn) this.#offSince = now;
    this.#wasOn = isOn;
    return this.#offSince === undefined ? 0 : Math.max(0, this.#offSince + HOLD_MS - now);
  }
}
