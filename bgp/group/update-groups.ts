/** The update groups of a speaker, by what their peers have in common. They come and go with their peers. */
import type { Family } from '../../lib/cidr.ts';
import type { Rib } from '../rib/rib.ts';
import type { PeerMember } from './peer-member.ts';
import { type GroupSpec, groupKey } from './spec.ts';
import { UpdateGroup } from './update-group.ts';

export interface GroupEvents {
  /** There is a sync to continue: call `step` at the end of this turn. */
  workChanged(): void;
  /** A route could not be encoded, or its export policy threw; it is withdrawn. */
  routeFault(error: unknown): void;
  /** A group threw and was discarded. The caller must end the sessions of its peers (rows in the source table). */
  groupFault(peers: readonly number[], error: unknown): void;
}

export class UpdateGroups {
  readonly #ribs: Readonly<Record<Family, Rib>>;
  readonly #groups = new Map<string, UpdateGroup>();
  readonly #events: GroupEvents;

  constructor(ribs: Readonly<Record<Family, Rib>>, events: GroupEvents) {
    this.#ribs = ribs;
    this.#events = events;
  }

  get all(): Iterable<UpdateGroup> {
    return this.#groups.values();
  }

  join(member: PeerMember, spec: GroupSpec): void {
    member.group = this.#groupFor(spec);
    member.group.join(member);
    this.#events.workChanged();
  }

  leave(member: PeerMember): void {
    const { group } = member;
    if (!group) return;
    group.leave(member);
    member.group = undefined;
    this.#dropIfEmpty(group);
  }

  /** Moves a peer whose export settings changed to its new group, and sends it the difference. */
  move(member: PeerMember, spec: GroupSpec): void {
    const { group } = member;
    if (!group || groupKey(group.spec) === groupKey(spec)) return;
    member.group = this.#groupFor(spec);
    member.group.takeOver(member, group);
    this.#dropIfEmpty(group);
    this.#events.workChanged();
  }

  refresh(member: PeerMember): void {
    member.group?.refresh(member);
    this.#events.workChanged();
  }

  resume(member: PeerMember): void {
    if (member.group?.resume(member)) this.#events.workChanged();
  }

  flush(family: Family, prefixes: Int32Array, paths: Int32Array): void {
    for (const group of this.#groups.values())
      if (group.spec.family === family) this.#guard(group, () => group.flush(prefixes, paths));
  }

  /** Advances the syncs. Returns true when there is more to do. */
  step(): boolean {
    let hasWork = false;
    for (const group of this.#groups.values()) {
      this.#guard(group, () => group.step());
      hasWork ||= group.hasWork;
    }
    return hasWork;
  }

  /** Whether every member of the family's groups is up to date. */
  isComplete(family: Family): boolean {
    for (const group of this.#groups.values())
      if (group.spec.family === family && !group.isComplete) return false;
    return true;
  }

  #guard(group: UpdateGroup, run: () => void): void {
    try {
      run();
    } catch (error) {
      // Its peers join another group when they come back.
      this.#groups.delete(groupKey(group.spec));
      this.#events.groupFault(group.peers, error);
    }
  }

  #groupFor(spec: GroupSpec): UpdateGroup {
    const key = groupKey(spec);
    let group = this.#groups.get(key);
    if (!group) {
      const rib = this.#ribs[spec.family];
      if (spec.hasAddPath) rib.tracksPaths = true;
      group = new UpdateGroup(spec, rib, (error) => this.#events.routeFault(error));
      this.#groups.set(key, group);
    }
    return group;
  }

  #dropIfEmpty(group: UpdateGroup): void {
    if (!group.isEmpty) return;
    const key = groupKey(group.spec);
    if (this.#groups.get(key) === group) this.#groups.delete(key);
    group.dispose();
    const rib = this.#ribs[group.spec.family];
    rib.tracksPaths = [...this.#groups.values()].some(
      ({ spec }) => spec.hasAddPath && spec.family === group.spec.family,
    );
  }
}
