/**
 * An update group: peers that get the same UPDATEs. It keeps one Adj-RIB-Out for all of them, encodes a change once, and
 * writes the same bytes to each.
 *
 * A live member has everything and takes part in each flush. Any other member has a sync, a pass over the Adj-RIB-Out
 * for the entries that changed since it was last complete. The same pass serves the initial update (all entries), a peer
 * that stopped reading (entries since its last flush) and route refresh (all entries again). Members that start in the
 * same turn share a sync. So no queue grows with a slow peer. No update is lost between a sync and a flush, because each
 * change gets a version above that of every sync in progress.
 */
import type { Rib } from '../rib/rib.ts';
import { AdjRibOut } from './adj-rib-out.ts';
import type { Batch } from './batch.ts';
import type { Member, SyncPurpose } from './member.ts';
import type { GroupSpec } from './spec.ts';

interface Sync {
  readonly members: Set<Member>;
  readonly purpose: SyncPurpose;
  /** The sync sends entries with a version above this; 0 sends all announced entries. */
  readonly base: number;
  /**
   * A complete sync includes versions up to this one. A sync with withdrawals sets it at its first step. A sync without
   * them (base 0) sets it at its creation, because it can miss entries that are withdrawn from then on.
   */
  epoch: number;
  cursor: number;
  /** The sync waits until its member reads again. */
  isPaused: boolean;
}

/** Maximum number of entries that a step of a sync examines, and sends. */
const STEP_ROWS = 1 << 18;
const STEP_ENTRIES = 1 << 13;
/** A live member with more queued octets starts a sync. Live members share these bytes. */
const LIVE_LIMIT = 8 << 20;
/** The limits for a member that shares a sync, and for one with its own. */
const SYNC_LIMIT = 4 << 20;
const LONE_SYNC_LIMIT = 512 << 10;

export class UpdateGroup {
  readonly spec: GroupSpec;
  readonly #out: AdjRibOut;
  /** Live members, and the syncs of the others. */
  readonly #live = new Set<Member>();
  readonly #syncs = new Set<Sync>();
  readonly #bySource = new Map<number, Member>();
  /** Members that requested a refresh before they were live. */
  readonly #refreshDue = new Set<Member>();

  /** `fault` is called when a route cannot be encoded or its export policy throws. The group withdraws that route. */
  constructor(spec: GroupSpec, rib: Rib, fault: (error: unknown) => void) {
    this.spec = spec;
    this.#out = new AdjRibOut(spec, rib, fault);
  }

  /** Number of advertised entries, including those learned from members. */
  get count(): number {
    return this.#out.count;
  }

  get isEmpty(): boolean {
    return this.#bySource.size === 0;
  }

  /** Rows of the members in the source table. */
  get peers(): number[] {
    return [...this.#bySource.keys()];
  }

  /** Whether rows without a path may be reused, because no member still needs their withdrawal. */
  get isComplete(): boolean {
    return this.#syncs.size === 0;
  }

  /** Whether a sync can continue. */
  get hasWork(): boolean {
    for (const sync of this.#syncs) if (!sync.isPaused) return true;
    return false;
  }

  isLive(member: Member): boolean {
    return this.#live.has(member);
  }

  /** Adds a member: it gets all entries, then End-of-RIB. */
  join(member: Member): void {
    this.#bySource.set(member.source, member);
    this.#startSync(member, 0, 'initial');
  }

  /** Advertises all entries again (RFC 2918). */
  refresh(member: Member): void {
    // Send what it missed first, because a refresh withdraws nothing.
    if (!this.#live.delete(member)) this.#refreshDue.add(member);
    else this.#startSync(member, 0, 'refresh');
  }

  leave(member: Member): void {
    this.#remove(member);
    this.#refreshDue.delete(member);
    this.#bySource.delete(member.source);
  }

  /**
   * Moves a member from another group within the same session: it gets this group's entries and withdrawals for the rest.
   */
  takeOver(member: Member, other: UpdateGroup): void {
    const isRefreshDue = other.#refreshDue.has(member);
    const { base, purpose } = other.#remove(member);
    other.leave(member);
    // The markers that it awaits: End-of-RIB once it is live here, BoRR and EoRR around its own refresh.
    if (purpose === 'initial') member.syncEnds(purpose);
    if (purpose === 'refresh' || isRefreshDue) this.#refreshDue.add(member);
    // The other group may be from this turn and know routes for which this one has no rows yet.
    this.#out.ensureRows();
    const gone: number[] = [];
    for (let entry = 0; entry < other.#out.length; entry++) {
      const wasAdvertised =
        other.#out.isAdvertisedTo(member.source, entry) || other.#out.versionOf(entry) > base;
      if (wasAdvertised && !this.#out.isAdvertisedTo(member.source, entry)) gone.push(entry);
    }
    if (gone.length > 0) this.#send(member, this.#out.packWithdrawals(gone));
    this.#bySource.set(member.source, member);
    this.#startSync(member, 0, 'catch up');
  }

  /** The member reads again. Returns true when it has a sync to continue. */
  resume(member: Member): boolean {
    let hasResumed = false;
    for (const sync of this.#syncs) {
      if (!sync.isPaused || !sync.members.has(member)) continue;
      sync.isPaused = false;
      hasResumed = true;
    }
    return hasResumed;
  }

  /** Advertises and withdraws the changes of this turn. */
  flush(prefixes: Int32Array, paths: Int32Array): void {
    const moved = new Map<number, number[]>();
    const changed = this.#out.update(this.spec.hasAddPath ? paths : prefixes, moved);
    if (changed.length === 0 || this.#live.size === 0) return;
    const batch = this.#out.pack(changed);
    for (const member of this.#live) this.#send(member, batch);
    for (const [source, entries] of moved) {
      const member = this.#bySource.get(source);
      if (member && this.#live.has(member)) this.#send(member, this.#out.packWithdrawals(entries));
    }
    this.#setAsideCongested();
  }

  /** Advances every sync that is not paused. */
  step(): void {
    for (const sync of this.#syncs) if (!sync.isPaused) this.#stepSync(sync);
  }

  /** Releases every reference. The group must not be used afterwards. */
  dispose(): void {
    this.#out.dispose();
  }

  /** Routes to a prefix that are advertised to a member: attribute rows with their source. */
  advertised(member: Member, prefix: number): Generator<{ attributes: number; source: number }> {
    return this.#out.advertised(member.source, prefix);
  }

  /** Why the best path to a prefix is not advertised to a member; undefined when it is. */
  refusal(member: Member, prefix: number): string | undefined {
    return this.#out.refusal(member.source, prefix);
  }

  /** Rows of prefixes that are not advertised because their attributes do not fit into a message. */
  get tooLong(): readonly number[] {
    return this.#out.tooLong;
  }

  /** Number of entries advertised to a member. */
  countFor(member: Member): number {
    return this.#out.count - this.#out.countFrom(member.source);
  }

  #send(member: Member, batch: Batch): void {
    member.counted(batch.messages);
    batch.forEachPart(member.source, (bytes) => member.send(bytes));
  }

  /** Members that do not keep up stop being live; their sync starts when they read again. */
  #setAsideCongested(): void {
    let isFirst = true;
    for (const member of this.#live) {
      if (member.queued < LIVE_LIMIT) continue;
      if (isFirst) this.#out.epoch++;
      isFirst = false;
      this.#live.delete(member);
      const base = this.#out.epoch - 1;
      this.#syncs.add({
        members: new Set([member]),
        purpose: 'catch up',
        base,
        epoch: base,
        cursor: 0,
        isPaused: true,
      });
    }
  }

  #startSync(member: Member, base: number, purpose: SyncPurpose): void {
    for (const sync of this.#syncs) {
      // This sync has not begun, so the member can join it.
      if (sync.cursor > 0 || sync.base !== base || sync.purpose !== purpose || sync.isPaused) continue;
      if (base === 0 && this.#out.lastChange > sync.epoch) continue;
      sync.members.add(member);
      return;
    }
    const epoch = base > 0 ? base : this.#out.epoch++;
    this.#syncs.add({ members: new Set([member]), purpose, base, epoch, cursor: 0, isPaused: false });
  }

  /** Removes the member. Returns the version up to which it is complete, and its sync. */
  #remove(member: Member): { base: number; purpose: SyncPurpose | undefined } {
    if (this.#live.delete(member)) return { base: this.#out.epoch, purpose: undefined };
    for (const sync of this.#syncs) {
      if (!sync.members.delete(member)) continue;
      if (sync.members.size === 0) this.#syncs.delete(sync);
      return { base: sync.base, purpose: sync.purpose };
    }
    return { base: 0, purpose: undefined };
  }

  #stepSync(sync: Sync): void {
    this.#splitCongested(sync);
    if (sync.isPaused) return;
    if (sync.cursor === 0) {
      if (sync.base > 0) sync.epoch = this.#out.epoch++;
      for (const member of sync.members) member.syncBegins(sync.purpose);
    }
    this.#out.ensureRows();
    const entries = this.#collect(sync);
    if (entries.length > 0) {
      const batch = this.#out.pack(entries);
      for (const member of sync.members) this.#send(member, batch);
      if (sync.base > 0) this.#withdrawOwn(sync, entries);
    }
    if (sync.cursor >= this.#out.length) this.#complete(sync);
  }

  /** The next entries for the sync to send. */
  #collect(sync: Sync): Int32Array {
    // Recent changes are few among many rows, and a look is cheap, so finish such a sync in few turns.
    const { length } = this.#out;
    const end = sync.base > 0 ? length : Math.min(length, sync.cursor + STEP_ROWS);
    const { entries, next } = this.#out.collect(sync.base, sync.cursor, end, STEP_ENTRIES);
    sync.cursor = next;
    return entries;
  }

  /** Withdraws earlier routes of other sources from a member whose own path became the best meanwhile. */
  #withdrawOwn(sync: Sync, entries: Int32Array): void {
    for (const member of sync.members) {
      const own = [...entries].filter((entry) => this.#out.isOwn(member.source, entry));
      if (own.length > 0) this.#send(member, this.#out.packWithdrawals(own));
    }
  }

  #splitCongested(sync: Sync): void {
    for (const member of sync.members) {
      if (member.queued < (sync.members.size > 1 ? SYNC_LIMIT : LONE_SYNC_LIMIT)) continue;
      if (sync.members.size === 1) {
        sync.isPaused = true;
        return;
      }
      sync.members.delete(member);
      this.#syncs.add({ ...sync, members: new Set([member]), isPaused: true });
    }
  }

  #complete(sync: Sync): void {
    this.#syncs.delete(sync);
    for (const member of sync.members) member.syncEnds(sync.purpose);
    // Changes that only the live members got meanwhile need another sync for the difference.
    const hasMissed = this.#out.lastChange > sync.epoch;
    for (const member of sync.members) {
      if (hasMissed) this.#startSync(member, sync.epoch, 'catch up');
      else if (this.#refreshDue.delete(member)) this.#startSync(member, 0, 'refresh');
      else this.#live.add(member);
    }
  }
}
