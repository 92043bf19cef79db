/** Notices that a node has been given another address; a moment without one is nothing. */
import type { NodeInfo } from '../felix/calc/topology.ts';
import type { Clock } from '../lib/clock.ts';
import type { AgentConfig } from './config.ts';
import { type Interfaces, lostAddresses } from './uplink.ts';

/** How long an address may be away, while a lease is renewed, before another one is looked for. */
const PATIENCE_MS = 2_000;

export class OwnAddress {
  readonly #config: AgentConfig;
  readonly #modules: { readonly clock: Clock; readonly look: () => void };
  /** Since when the node's address is on no interface. */
  #lostSince: number | undefined;

  /** `look` makes somebody look at the interfaces again. */
  constructor(config: AgentConfig, modules: { readonly clock: Clock; readonly look: () => void }) {
    this.#config = config;
    this.#modules = modules;
  }

  /** Takes over what the interfaces have; whether another address is to be looked for now. */
  isGone(self: NodeInfo, interfaces: Interfaces): boolean {
    const { clock, look } = this.#modules;
    if (lostAddresses(interfaces, self).length === 0) {
      this.#lostSince = undefined;
      return false;
    }
    if (this.#lostSince === undefined) {
      this.#lostSince = clock.now();
      clock.after(PATIENCE_MS, look);
    }
    return clock.now() - this.#lostSince >= PATIENCE_MS && this.#mayTakeAnother();
  }

  /** One that was given stays: only a person knows another. */
  #mayTakeAnother(): boolean {
    return this.#config.ip === 'autodetect' || this.#config.ip6 === 'autodetect';
  }
}
