/**
 * The objects of one manifest arrive one after the other: that the mesh is off may be known before what comes in its place.
 * So it goes a moment after it was switched off, and by then the peers that follow it are there.
 */
import type { BGPConfiguration } from '../datastore/schema/bgp.ts';
import { defaultsOf } from '../felix/calc/bgp/cluster.ts';

const HOLD_MS = 5_000;

export class MeshHold {
  #wasOn = false;
  #offSince: number | undefined;

  /** Takes what is configured at a time in milliseconds; for how long the mesh stays all the same, 0 when it does not. */
  update(configurations: readonly BGPConfiguration[], now: number): number {
    const isOn = defaultsOf(configurations).nodeToNodeMeshEnabled ?? true;
    if (isOn) this.#offSince = undefined;
    else if (this.#wasOn) this.#offSince = now;
    this.#wasOn = isOn;
    return this.#offSince === undefined ? 0 : Math.max(0, this.#offSince + HOLD_MS - now);
  }
}
