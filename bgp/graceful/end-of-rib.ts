/**
 * Delays End-of-RIB. On End-of-RIB a peer removes routes of this speaker that were not sent again. After a start,
 * End-of-RIB to a peer therefore waits for the peers whose routes are passed on to it (RFC 4724 section 4.1).
 */

import type { PeerConfig } from '../peer/config.ts';
import { passesOn } from '../peer/context.ts';
import type { Peer } from '../peer/peer.ts';
import type { Deferral } from './deferral.ts';

export interface PendingEndOfRibModules {
  readonly deferral: Deferral;
  readonly peer: (key: string) => Peer | undefined;
  /** Templates of the dynamic peers. */
  readonly templates: () => readonly PeerConfig[];
}

export class PendingEndOfRib {
  readonly #modules: PendingEndOfRibModules;
  /** Peers with all present routes sent, but not End-of-RIB. */
  readonly #due = new Set<Peer>();

  constructor(modules: PendingEndOfRibModules) {
    this.#modules = modules;
  }

  get isEmpty(): boolean {
    return this.#due.size === 0;
  }

  add(peer: Peer): void {
    this.#due.add(peer);
  }

  clear(): void {
    this.#due.clear();
  }

  /** Sends each End-of-RIB that no longer has to wait. */
  send(): void {
    for (const peer of this.#due)
      peer.guard(() => {
        if (this.#maySend(peer) && peer.sendEndOfRib()) this.#due.delete(peer);
      });
  }

  /** Does not wait for a non-client that restarts too, because that one may wait for this speaker. */
  #maySend(peer: Peer): boolean {
    const { deferral, templates } = this.#modules;
    if (deferral.isOpen && templates().some((template) => passesOn(template, peer.config))) return false;
    for (const key of deferral.awaited) {
      const other = this.#modules.peer(key);
      if (!other || other === peer || !passesOn(other.config, peer.config)) continue;
      if (other.config.isClient || !other.negotiated?.peerRestart?.isRestarting) return false;
    }
    return true;
  }
}
