/** A peer's session in an update group, for one family. */
import type { Family } from '../../lib/cidr.ts';
import type { Member, SyncPurpose } from './member.ts';
import type { UpdateGroup } from './update-group.ts';

/** The parts of a peer that the group uses. */
export interface MemberPeer {
  readonly source: number;
  readonly counters: { updatesSent: number; messagesSent: number };
  readonly runner: { readonly connection: { readonly queued: number } | undefined };
  sendUpdates(bytes: Uint8Array): void;
  marker(family: Family, which: 'End-of-RIB' | 'BoRR' | 'EoRR'): void;
}

export class PeerMember implements Member {
  readonly family: Family;
  readonly source: number;
  readonly #peer: MemberPeer;
  group: UpdateGroup | undefined;

  constructor(peer: MemberPeer, family: Family) {
    this.#peer = peer;
    this.family = family;
    this.source = peer.source;
  }

  get queued(): number {
    return this.#peer.runner.connection?.queued ?? 0;
  }

  send(bytes: Uint8Array): void {
    this.#peer.sendUpdates(bytes);
  }

  counted(messages: number): void {
    this.#peer.counters.updatesSent += messages;
    this.#peer.counters.messagesSent += messages;
  }

  syncBegins(purpose: SyncPurpose): void {
    if (purpose === 'refresh') this.#peer.marker(this.family, 'BoRR');
  }

  syncEnds(purpose: SyncPurpose): void {
    if (purpose === 'initial') this.#peer.marker(this.family, 'End-of-RIB');
    else if (purpose === 'refresh') this.#peer.marker(this.family, 'EoRR');
  }
}
