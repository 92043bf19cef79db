/**
 * An update group: peers that get the same UPDATEs. It keeps one Adj-RIB-Out for all of them, encodes a change once, and
 * writes the same bytes to each.
 *
 * A live member has everything and takes part in each flush. Any other member has a sync, a pass over the Adj-RIB-Out for
 * the entries that changed since it was last complete. The same pass serves the initial update (all entries), a peer that stopped reading
 * (entries since its last flush) and route refresh (all entries again). Members that start in the same turn share a sync.
 * So no queue grows with a slow peer. No update is lost between a sync and a flush, because each change gets a version
 * above that of every sync in progress.
 */
import { messageOf } from '../../lib/errors.ts';
import { grow, RowStack } from '../rib/columns.ts';
import type { Rib } from '../rib/rib.ts';
import { LOCAL } from '../rib/source.ts';
import { MAX_MESSAGE_LENGTH } from '../wire/iana.ts';
import { AttributeFact } from '../wire/scan.ts';
import { AttributeEncoder } from './attribute-encoder.ts';
import type { Batch } from './batch.ts';
import { Packer } from './packer.ts';
import { PolicyCache, REFUSED } from './policy-cache.ts';
import type { GroupSpec } from './spec.ts';

/** A session of a peer, for one address family. */
export interface Member {
  /** Row of the peer in the source table. It is not sent its own routes. */
  readonly source: number;
  /** Queues bytes, which several members may share. The caller does not change them afterwards. */
  send(bytes: Uint8Array): void;
  /** Octets queued for the peer. */
  readonly queued: number;
  /** A sync begins or ends: time for the markers of RFC 7313 and RFC 4724. */
  syncBegins(purpose: SyncPurpose): void;
  syncEnds(purpose: SyncPurpose): void;
  counted(messages: number): void;
}

export type SyncPurpose = 'initial' | 'refresh' | 'catch up';

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

const NOTHING = -1;

export class UpdateGroup {
  readonly spec: GroupSpec;
  readonly #rib: Rib;
  readonly #packer: Packer;
  readonly #encoder: AttributeEncoder;
  readonly #policy: PolicyCache | undefined;
  /** Entries that only the length of their attributes keeps from being announced. */
  readonly #tooLong = new Set<number>();
  /** Entries that an internal fault keeps from being announced, with its message. */
  readonly #broken = new Map<number, string>();
  readonly #fault: (error: unknown) => void;
  /** Live members, and the syncs of the others. */
  readonly #live = new Set<Member>();
  readonly #syncs = new Set<Sync>();
  readonly #bySource = new Map<number, Member>();
  /** What is advertised, by entry: attribute row (with a reference) or NOTHING, and the source. */
  #sent = new Int32Array(0);
  #source = new Uint16Array(0);
  #version = new Uint32Array(0);
  /** Version of changes made now. The next one starts when a sync begins or a member stops being live. */
  #epoch = 1;
  #lastChange = 0;
  /** Members that requested a refresh before they were live. */
  readonly #refreshDue = new Set<Member>();
  #count = 0;
  readonly #changed = new RowStack();
  // Consecutive routes often share their attributes, so keep the last verdict.
  #judgedRow = NOTHING;
  #judgedSource = LOCAL;
  #isRefused = false;
  #isSurelySent = false;

  /** `fault` is called when a route cannot be encoded or its export policy throws. The group withdraws that route. */
  constructor(spec: GroupSpec, rib: Rib, fault: (error: unknown) => void) {
    this.spec = spec;
    this.#rib = rib;
    this.#fault = fault;
    this.#policy = spec.policy && new PolicyCache(spec.policy, rib);
    this.#encoder = new AttributeEncoder(spec, rib.attributes, rib.sources);
    this.#packer = new Packer(spec, rib, this.#encoder);
    this.#ensureRows();
    this.#fill();
  }

  /** Number of advertised entries, including those learned from members. */
  get count(): number {
    return this.#count;
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
    // The markers that it awaits: End-of-RIB once it is live here, BoRR and EoRR with a refresh of its own.
    if (purpose === 'initial') member.syncEnds(purpose);
    if (purpose === 'refresh' || isRefreshDue) this.#refreshDue.add(member);
    // The other group may be from this turn and know routes for which this one has no rows yet.
    this.#ensureRows();
    const gone: number[] = [];
    for (let entry = 0; entry < other.#sent.length; entry++) {
      const isAdvertised = other.#sent[entry]! >= 0 && other.#source[entry] !== member.source;
      const wasAdvertised = isAdvertised || other.#version[entry]! > base;
      if (wasAdvertised && (this.#sent[entry]! < 0 || this.#source[entry] === member.source))
        gone.push(entry);
    }
    if (gone.length > 0) this.#send(member, this.#packer.packWithdrawals(gone));
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
    this.#ensureRows();
    this.#forgetJudgement();
    this.#changed.clear();
    const moved = new Map<number, number[]>();
    for (const entry of this.spec.hasAddPath ? paths : prefixes) this.#update(entry, moved);
    if (this.#changed.length === 0) return;
    this.#lastChange = this.#epoch;
    if (this.#live.size === 0) return;
    const batch = this.#pack(this.#changed.rows());
    for (const member of this.#live) this.#send(member, batch);
    for (const [source, entries] of moved) {
      const member = this.#bySource.get(source);
      if (member && this.#live.has(member)) this.#send(member, this.#packer.packWithdrawals(entries));
    }
    this.#setAsideCongested();
  }

  /** Advances every sync that is not paused. */
  step(): void {
    for (const sync of this.#syncs) if (!sync.isPaused) this.#stepSync(sync);
  }

  /** Releases every reference. The group must not be used afterwards. */
  dispose(): void {
    for (const row of this.#sent) if (row >= 0) this.#rib.attributes.release(row);
    this.#policy?.dispose();
    this.#sent = new Int32Array(0);
  }

  /** Routes to a prefix that are advertised to a member: attribute rows with their source. */
  *advertised(member: Member, prefix: number): Generator<{ attributes: number; source: number }> {
    const entries = this.spec.hasAddPath ? this.#rib.pathsTo(prefix) : [prefix];
    for (const entry of entries) {
      const attributes = this.#sent[entry] ?? NOTHING;
      const source = this.#source[entry]!;
      if (attributes >= 0 && source !== member.source) yield { attributes, source };
    }
  }

  /** Why the best path to a prefix is not advertised to a member; undefined when it is. */
  refusal(member: Member, prefix: number): string | undefined {
    const best = this.#rib.isPending(prefix) ? NOTHING : (this.#rib.best[prefix] ?? NOTHING);
    if (best < 0) return 'no usable path exists';
    if (this.#rib.paths.source[best] === member.source) return 'it was learned from this peer';
    const reason = this.#protocolRefusal(best);
    if (reason) return reason;
    const fault = this.#broken.get(this.spec.hasAddPath ? best : prefix);
    if (fault !== undefined) return `internal fault: ${fault}`;
    return this.#policy?.refusal(best) ?? this.#lengthRefusal(this.spec.hasAddPath ? best : prefix, best);
  }

  /** Rows of prefixes that are not advertised because their attributes do not fit into a message. */
  get tooLong(): readonly number[] {
    const { hasAddPath } = this.spec;
    return [...this.#tooLong].map((entry) => (hasAddPath ? this.#rib.paths.prefix[entry]! : entry));
  }

  /** Number of entries advertised to a member. */
  countFor(member: Member): number {
    if (this.#rib.countOf(member.source) === 0) return this.#count;
    let own = 0;
    for (let entry = 0; entry < this.#sent.length; entry++)
      if (this.#sent[entry]! >= 0 && this.#source[entry] === member.source) own++;
    return this.#count - own;
  }

  #pack(entries: Int32Array): Batch {
    const batch = this.#packer.pack(entries, { sent: this.#sent, source: this.#source });
    for (const { entries: broken, error } of batch.broken) {
      for (const entry of broken) {
        this.#rib.attributes.release(this.#sent[entry]!);
        this.#sent[entry] = NOTHING;
        this.#count--;
        this.#break(entry, error);
      }
    }
    return batch;
  }

  #break(entry: number, error: unknown): void {
    if (this.#broken.size === 0) this.#fault(error);
    this.#broken.set(entry, messageOf(error));
  }

  #ensureRows(): void {
    const rows = this.spec.hasAddPath ? this.#rib.paths.prefix.length : this.#rib.head.length;
    if (rows <= this.#sent.length) return;
    this.#sent = grow(this.#sent, rows, NOTHING);
    this.#source = grow(this.#source, rows);
    this.#version = grow(this.#version, rows);
  }

  /** Fills the Adj-RIB-Out of a new group. Pending decisions follow with the flush at the end of the turn. */
  #fill(): void {
    this.#forgetJudgement();
    const nobody = new Map<number, number[]>();
    const { hasAddPath } = this.spec;
    const rows = hasAddPath ? this.#rib.paths.rows : this.#rib.prefixes.rows;
    for (let entry = 0; entry < rows; entry++)
      if (hasAddPath || !this.#rib.isPending(entry)) this.#update(entry, nobody);
    this.#changed.clear();
  }

  /** Brings one entry up to date. */
  #update(entry: number, moved: Map<number, number[]>): void {
    if (this.#tooLong.size > 0) this.#tooLong.delete(entry);
    if (this.#broken.size > 0) this.#broken.delete(entry);
    const path = this.spec.hasAddPath ? this.#livePath(entry) : this.#rib.best[entry]!;
    const advertised = path < 0 ? NOTHING : this.#exportSafely(entry, path);
    const source = path < 0 ? LOCAL : this.#rib.paths.source[path]!;
    const before = this.#sent[entry]!;
    if (advertised === before && (advertised < 0 || source === this.#source[entry])) return;
    if (advertised >= 0) this.#rib.attributes.retain(advertised);
    if (before >= 0) this.#rib.attributes.release(before);
    this.#count += Number(advertised >= 0) - Number(before >= 0);
    if (advertised >= 0 && before >= 0 && source !== this.#source[entry]) {
      // The new best path is the member's own, so withdraw the earlier one from it.
      const entries = moved.get(source);
      if (entries) entries.push(entry);
      else moved.set(source, [entry]);
    }
    this.#sent[entry] = advertised;
    this.#source[entry] = source;
    this.#version[entry] = this.#epoch;
    this.#changed.push(entry);
  }

  #livePath(path: number): number {
    return this.#rib.isUsable(path) ? path : NOTHING;
  }

  #exportSafely(entry: number, path: number): number {
    try {
      return this.#export(entry, path);
    } catch (error) {
      this.#break(entry, error);
      return NOTHING;
    }
  }

  /** Attribute row to advertise for a path, or NOTHING. */
  #export(entry: number, path: number): number {
    const { attributes, source } = this.#rib.paths;
    const received = attributes[path]!;
    if (received !== this.#judgedRow || source[path] !== this.#judgedSource) this.#judge(path);
    if (this.#isSurelySent) return received;
    if (this.#isRefused) return NOTHING;
    const row = this.#policy ? this.#policy.apply(path) : received;
    if (row === REFUSED || (row >= 0 && this.#packer.fits(entry, row, this.#rib.paths.source[path]!)))
      return row;
    // RFC 4271 section 9.2 and RFC 8654 section 4: withdraw what cannot be advertised.
    this.#tooLong.add(entry);
    return NOTHING;
  }

  /** Finds the verdict for all paths with these attributes from this source. */
  #judge(path: number): void {
    const { attributes, source } = this.#rib.paths;
    this.#judgedRow = attributes[path]!;
    this.#judgedSource = source[path]!;
    this.#isRefused = this.#protocolRefusal(path) !== undefined;
    this.#isSurelySent = !this.#isRefused && !this.#policy && this.#packer.surelyFits(this.#judgedRow);
  }

  /** Rows can be reused between turns, so the last verdict expires. */
  #forgetJudgement(): void {
    this.#judgedRow = NOTHING;
  }

  /** Why a path does not fit into a message; undefined when it does. */
  #lengthRefusal(entry: number, path: number): string | undefined {
    const row = this.#policy ? this.#policy.apply(path) : this.#rib.paths.attributes[path]!;
    const source = this.#rib.paths.source[path]!;
    if (row < 0 || this.#packer.fits(entry, row, source)) return undefined;
    const needed = this.#packer.messageLength(entry, row, source);
    return tooLongReason(needed, this.spec.maxMessageLength);
  }

  #protocolRefusal(path: number): string | undefined {
    const { spec } = this;
    const row = this.#rib.paths.attributes[path]!;
    const facts = this.#rib.attributes.flags[row]!;
    const from = this.#rib.sources.at(this.#rib.paths.source[path]!);
    if (from.peer !== undefined && from.isIbgp && spec.isIbgp) {
      if (spec.clusterId === 0) return 'routes of internal peers are not advertised to internal peers';
      if (!from.isClient && !spec.isClient)
        return 'neither the sender nor this peer is a route reflector client';
    }
    // RFC 7947 section 2.2.4: a route server passes communities on and does not act on them.
    const isTransparent = this.#encoder.isTransparent(this.#rib.paths.source[path]!);
    if (facts & AttributeFact.NO_ADVERTISE && !isTransparent) return 'community NO_ADVERTISE';
    if (facts & AttributeFact.NO_EXPORT && !spec.isIbgp && !isTransparent) return 'community NO_EXPORT';
    if (facts & AttributeFact.OTC && spec.refusesOtc) return 'OTC: only to customers (RFC 9234)';
    if (facts & AttributeFact.LLGR_STALE && !spec.hasLongLived)
      return 'long-lived stale, and the peer does not support such routes (RFC 9494)';
    return this.#nextHopRefusal(row, this.#rib.paths.source[path]!);
  }

  #nextHopRefusal(row: number, source: number): string | undefined {
    const { spec } = this;
    if (this.#encoder.isTransparent(source) && this.#encoder.isLinkLocal(row))
      return 'its next hop is link-local, and a route server does not change next hops (RFC 7947 section 2.2.1)';
    const octets = this.#encoder.nextHopLength(row, source);
    if (octets === 0) {
      const reason = `this speaker has no IPv${spec.family} address for the next hop`;
      return source !== LOCAL && this.#encoder.isLinkLocal(row)
        ? `its next hop is link-local, and ${reason} (RFC 2545 section 3)`
        : reason;
    }
    if (spec.family === 4 && octets > 4 && !spec.hasExtendedNextHop)
      return 'its next hop is IPv6, which the peer does not support for IPv4 routes (RFC 8950)';
    return undefined;
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
      if (isFirst) this.#epoch++;
      isFirst = false;
      this.#live.delete(member);
      const base = this.#epoch - 1;
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
      if (base === 0 && this.#lastChange > sync.epoch) continue;
      sync.members.add(member);
      return;
    }
    const epoch = base > 0 ? base : this.#epoch++;
    this.#syncs.add({ members: new Set([member]), purpose, base, epoch, cursor: 0, isPaused: false });
  }

  /** Removes the member. Returns the version up to which it is complete, and its sync. */
  #remove(member: Member): { base: number; purpose: SyncPurpose | undefined } {
    if (this.#live.delete(member)) return { base: this.#epoch, purpose: undefined };
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
      if (sync.base > 0) sync.epoch = this.#epoch++;
      for (const member of sync.members) member.syncBegins(sync.purpose);
    }
    this.#ensureRows();
    const entries = this.#collect(sync);
    if (entries.length > 0) {
      const batch = this.#pack(entries);
      for (const member of sync.members) this.#send(member, batch);
      if (sync.base > 0) this.#withdrawOwn(sync, entries);
    }
    if (sync.cursor >= this.#sent.length) this.#complete(sync);
  }

  /** The next entries for the sync to send. */
  #collect(sync: Sync): Int32Array {
    // Recent changes are few among many rows, and a look is cheap, so finish such a sync in few turns.
    const end = sync.base > 0 ? this.#sent.length : Math.min(this.#sent.length, sync.cursor + STEP_ROWS);
    const entries = new Int32Array(Math.min(STEP_ENTRIES, end - sync.cursor));
    let length = 0;
    let at = sync.cursor;
    for (; at < end && length < entries.length; at++) {
      if (sync.base === 0 ? this.#sent[at]! >= 0 : this.#version[at]! > sync.base) entries[length++] = at;
    }
    sync.cursor = at;
    return entries.subarray(0, length);
  }

  /** Withdraws earlier routes of other sources from a member whose own path became the best meanwhile. */
  #withdrawOwn(sync: Sync, entries: Int32Array): void {
    for (const member of sync.members) {
      const own = [...entries].filter(
        (entry) => this.#sent[entry]! >= 0 && this.#source[entry] === member.source,
      );
      if (own.length > 0) this.#send(member, this.#packer.packWithdrawals(own));
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
    const hasMissed = this.#lastChange > sync.epoch;
    for (const member of sync.members) {
      if (hasMissed) this.#startSync(member, sync.epoch, 'catch up');
      else if (this.#refreshDue.delete(member)) this.#startSync(member, 0, 'refresh');
      else this.#live.add(member);
    }
  }
}

/** The reason for an UPDATE that is longer than the peer accepts. */
function tooLongReason(octets: number, limit: number): string {
  const remedy =
    limit === MAX_MESSAGE_LENGTH ? '; a peer with extended messages (RFC 8654) accepts 65,535' : '';
  return `its attributes are too long: the UPDATE would have ${octets} octets, the peer accepts ${limit} (RFC 4271 section 9.2)${remedy}`;
}
