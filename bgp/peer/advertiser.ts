/** Routes to a peer: its place in the update groups, and the markers around them (RFC 4724, RFC 7313). */
import type { Family } from '../../lib/cidr.ts';
import { type MemberPeer, PeerMember } from '../group/peer-member.ts';
import type { GroupSpec } from '../group/spec.ts';
import type { UpdateGroups } from '../group/update-groups.ts';
import type { Negotiated } from '../session/session.ts';
import { RefreshSubtype } from '../wire/iana.ts';
import type { OutgoingMessage } from '../wire/message.ts';
import { endOfRib } from '../wire/update.ts';

export interface AdvertiserModules {
  readonly groups: UpdateGroups;
  readonly send: (message: OutgoingMessage) => void;
  /** Whether BoRR and EoRR were negotiated (RFC 7313). */
  readonly hasEnhancedRefresh: () => boolean;
  /** The initial update was sent. `sendEndOfRib` may be called now or later. */
  readonly endOfRibDue: () => void;
  /** The update group of the session, by the current settings. */
  readonly spec: (family: Family, negotiated: Negotiated) => GroupSpec;
}

export class Advertiser {
  readonly #modules: AdvertiserModules;
  readonly #members = new Map<Family, PeerMember>();
  /** Families whose initial update was sent, but not their End-of-RIB. */
  readonly #dueEndOfRib = new Set<Family>();
  readonly #endOfRibSent = new Set<Family>();
  /** Families for which the peer requested a refresh before their End-of-RIB was sent. */
  readonly #dueRefreshes = new Set<Family>();

  constructor(modules: AdvertiserModules) {
    this.#modules = modules;
  }

  get members(): ReadonlyMap<Family, PeerMember> {
    return this.#members;
  }

  /** Starts to advertise the routes of all families of a session. */
  join(peer: MemberPeer, negotiated: Negotiated): void {
    const { groups, spec } = this.#modules;
    for (const family of negotiated.families) {
      const member = new PeerMember(peer, family);
      this.#members.set(family, member);
      groups.join(member, spec(family, negotiated));
    }
  }

  /** Moves to the groups of changed settings, which send the difference. */
  move(negotiated: Negotiated): void {
    const { groups, spec } = this.#modules;
    for (const [family, member] of this.#members) groups.move(member, spec(family, negotiated));
  }

  /** Leaves all groups. */
  leave(): void {
    const members = [...this.#members.values()];
    this.#members.clear();
    this.#dueEndOfRib.clear();
    this.#endOfRibSent.clear();
    this.#dueRefreshes.clear();
    for (const member of members) this.#modules.groups.leave(member);
  }

  /** Sends all routes again. With BoRR and EoRR, this waits until End-of-RIB was sent (RFC 7313 section 4). */
  refresh(family: Family): void {
    const member = this.#members.get(family);
    if (!member) return;
    const awaitsEnd = this.#modules.hasEnhancedRefresh() && !this.#endOfRibSent.has(family);
    if (awaitsEnd) this.#dueRefreshes.add(family);
    else this.#modules.groups.refresh(member);
  }

  /** The peer reads again. */
  drained(): void {
    for (const member of this.#members.values()) this.#modules.groups.resume(member);
  }

  /** Sends a marker of RFC 4724 or RFC 7313 around the routes of a group. End-of-RIB may wait. */
  marker(family: Family, which: 'End-of-RIB' | 'BoRR' | 'EoRR'): void {
    if (which === 'End-of-RIB') {
      this.#dueEndOfRib.add(family);
      this.#modules.endOfRibDue();
    } else if (this.#modules.hasEnhancedRefresh()) {
      const subtype = which === 'BoRR' ? RefreshSubtype.BEGIN : RefreshSubtype.END;
      this.#modules.send({ type: 'route-refresh', family, subtype });
    }
  }

  /** Sends each End-of-RIB that is due, if all routes of its family were sent. True when none is due any more. */
  sendEndOfRib(): boolean {
    for (const family of this.#dueEndOfRib) {
      const member = this.#members.get(family);
      if (!member?.group?.isLive(member)) continue;
      this.#dueEndOfRib.delete(family);
      this.#endOfRibSent.add(family);
      this.#modules.send({ type: 'update', ...endOfRib(family) });
      if (this.#dueRefreshes.delete(family)) this.#modules.groups.refresh(member);
    }
    return this.#dueEndOfRib.size === 0;
  }
}
