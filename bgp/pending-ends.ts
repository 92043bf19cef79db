/**
 * End-of-RIB, which makes a peer forget what it had from this speaker and was not sent again: after a start it waits for
 * those whose routes belong before it (RFC 4724 section 4.1).
 */
import type { Deferral } from './deferral.ts';
import type { Peer } from './peer.ts';
import type { PeerConfig } from './peer-config.ts';
import { passesOn } from './peer-context.ts';

export interface PendingEndsModules {
  readonly deferral: Deferral;
  readonly peer: (key: string) => Peer | undefined;
  /** What peers are that may come by themselves. */
  readonly templates: () => readonly PeerConfig[];
}

export class PendingEnds {
  readonly #modules: PendingEndsModules;
  /** Peers that have been sent everything that is here, and no End-of-RIB yet. */
  readonly #due = new Set<Peer>();

  constructor(modules: PendingEndsModules) {
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

  /** Sends those that may be sent. */
  send(): void {
    for (const peer of this.#due)
      peer.guard(() => {
        if (this.#mayEnd(peer) && peer.sendEnds()) this.#due.delete(peer);
      });
  }

  /** Does not wait for one that restarts too and is no client of ours: it may wait for this speaker. */
  #mayEnd(peer: Peer): boolean {
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
