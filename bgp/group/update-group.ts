/**
 * An update group: peers that are sent the same. It keeps one Adj-RIB-Out for all of them, encodes a change once
 * and writes the same bytes to each.
 *
 * A member is live (it has everything and takes part in each flush) or walks: it goes through the Adj-RIB-Out
 * for what has changed since it was last complete. One mechanism does the initial update (since ever), the
 * return of a peer that had stopped reading (since its last flush) and route refresh (since ever, again). Members
 * that start in the same turn walk together. So no queue grows with a slow peer, and no update can be lost
 * between a dump and a flush: whatever changes gets a version above that of every walk under way.
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
  /** Row of the peer in the source table: its own routes are not sent to it. */
  readonly source: number;
  /** Queues bytes. They are not changed afterwards, and may be shared. */
  send(bytes: Uint8Array): void;
  /** Octets that wait for the peer to read. */
  readonly queued: number;
  /** A walk of this kind begins, or is complete: the markers of RFC 7313 and RFC 4724 are due. */
  walkBegins(purpose: WalkPurpose): void;
  walkEnds(purpose: WalkPurpose): void;
  counted(messages: number): void;
}

export type WalkPurpose = 'initial' | 'refresh' | 'catch up';

interface Walk {
  readonly members: Set<Member>;
  readonly purpose: WalkPurpose;
  /** Entries with a version above this are sent. 0: everything that is announced. */
  readonly base: number;
  /**
   * Versions up to this one are covered when the walk is complete. For a walk that tells withdrawals too that is
   * what is there with its first step; one that does not (base 0) may miss what goes from its creation on.
   */
  epoch: number;
  cursor: number;
  /** Waits until its member reads again. */
  isPaused: boolean;
}

/** Entries that a step of a walk looks at, and sends, at most. */
const STEP_ROWS = 1 << 18;
const STEP_ENTRIES = 1 << 13;
/** Octets queued for a live member before it is set aside. Live members share them. */
const LIVE_LIMIT = 8 << 20;
/** The same for a member that walks with others, and for one that walks alone. */
const WALK_LIMIT = 4 << 20;
const LONE_WALK_LIMIT = 512 << 10;

const NOTHING = -1;

export class UpdateGroup {
  readonly spec: GroupSpec;
  readonly #rib: Rib;
  readonly #packer: Packer;
  readonly #encoder: AttributeEncoder;
  readonly #policy: PolicyCache | undefined;
  /** Entries that may be announced but for the length of their attributes. */
  readonly #tooLong = new Set<number>();
  /** Entries that a fault of ours keeps from being announced, with its message. */
  readonly #broken = new Map<number, string>();
  readonly #fault: (error: unknown) => void;
  /** Live members, and the walk of each that is not. */
  readonly #live = new Set<Member>();
  readonly #walks = new Set<Walk>();
  readonly #bySource = new Map<number, Member>();
  /** What the group has been told, by entry: attribute row (with a reference) or NOTHING, and the source. */
  #sent = new Int32Array(0);
  #source = new Uint16Array(0);
  #version = new Uint32Array(0);
  /** Version of what changes now. A walk that begins, or a member that is set aside, starts the next one. */
  #epoch = 1;
  #lastChange = 0;
  /** Members that asked for a refresh while they did not have everything yet. */
  readonly #refreshDue = new Set<Member>();
  #count = 0;
  readonly #changed = new RowStack();
  // Routes that come together often share their attributes: what was found for the last ones.
  #judgedRow = NOTHING;
  #judgedSource = LOCAL;
  #isRefused = false;
  #isSurelySent = false;

  /** `fault`: a route could not be encoded, or its export policy threw. The route is withdrawn. */
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

  /** Entries that are announced to the group, those that members announced themselves included. */
  get count(): number {
    return this.#count;
  }

  get isEmpty(): boolean {
    return this.#bySource.size === 0;
  }

  /** Rows of its peers in the source table. */
  get peers(): number[] {
    return [...this.#bySource.keys()];
  }

  /** Whether rows without a path may be given back: nobody still has to be told that they went. */
  get isComplete(): boolean {
    return this.#walks.size === 0;
  }

  /** Whether there is a walk that can go on. */
  get hasWork(): boolean {
    for (const walk of this.#walks) if (!walk.isPaused) return true;
    return false;
  }

  isLive(member: Member): boolean {
    return this.#live.has(member);
  }

  /** Takes a peer in: everything is announced to it, then End-of-RIB. */
  join(member: Member): void {
    this.#bySource.set(member.source, member);
    this.#startWalk(member, 0, 'initial');
  }

  /** Announces everything once more (RFC 2918). */
  refresh(member: Member): void {
    // What it has missed comes first: a refresh announces, and withdraws nothing.
    if (!this.#live.delete(member)) this.#refreshDue.add(member);
    else this.#startWalk(member, 0, 'refresh');
  }

  leave(member: Member): void {
    this.#remove(member);
    this.#refreshDue.delete(member);
    this.#bySource.delete(member.source);
  }

  /**
   * A member changes over from another group of the same session: it is told what this one has, and that the rest
   * is gone.
   */
  takeOver(member: Member, other: UpdateGroup): void {
    const base = other.#remove(member);
    other.leave(member);
    // The other one may have been made in this turn, and know routes for which this one has no rows yet.
    this.#ensureRows();
    const gone: number[] = [];
    for (let entry = 0; entry < other.#sent.length; entry++) {
      const isTold = other.#sent[entry]! >= 0 && other.#source[entry] !== member.source;
      const wasTold = isTold || other.#version[entry]! > base;
      if (wasTold && (this.#sent[entry]! < 0 || this.#source[entry] === member.source)) gone.push(entry);
    }
    if (gone.length > 0) this.#send(member, this.#packer.packWithdrawals(gone));
    this.#bySource.set(member.source, member);
    this.#startWalk(member, 0, 'catch up');
  }

  /** The member reads again. True when it has a walk to go on with. */
  resume(member: Member): boolean {
    let hasResumed = false;
    for (const walk of this.#walks) {
      if (!walk.isPaused || !walk.members.has(member)) continue;
      walk.isPaused = false;
      hasResumed = true;
    }
    return hasResumed;
  }

  /** Announces and withdraws what changed in this turn. */
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

  /** Lets every walk that can do so go a step further. */
  step(): void {
    for (const walk of this.#walks) if (!walk.isPaused) this.#stepWalk(walk);
  }

  /** Gives back every reference. The group is not used any more. */
  dispose(): void {
    for (const row of this.#sent) if (row >= 0) this.#rib.attributes.release(row);
    this.#policy?.dispose();
    this.#sent = new Int32Array(0);
  }

  /** What a member has been told about a prefix: rows of attributes with their source, none or more. */
  *advertised(member: Member, prefix: number): Generator<{ attributes: number; source: number }> {
    const entries = this.spec.hasAddPath ? this.#rib.pathsTo(prefix) : [prefix];
    for (const entry of entries) {
      const attributes = this.#sent[entry] ?? NOTHING;
      const source = this.#source[entry]!;
      if (attributes >= 0 && source !== member.source) yield { attributes, source };
    }
  }

  /** Why the best path to a prefix is not announced to a member; undefined when it is. */
  refusal(member: Member, prefix: number): string | undefined {
    const best = this.#rib.isPending(prefix) ? NOTHING : (this.#rib.best[prefix] ?? NOTHING);
    if (best < 0) return 'there is no usable path';
    if (this.#rib.paths.source[best] === member.source) return 'it was learned from this peer';
    const reason = this.#protocolRefusal(best);
    if (reason) return reason;
    const fault = this.#broken.get(this.spec.hasAddPath ? best : prefix);
    if (fault !== undefined) return `internal fault: ${fault}`;
    return this.#policy?.refusal(best) ?? this.#lengthRefusal(this.spec.hasAddPath ? best : prefix, best);
  }

  /** Rows of prefixes that are kept back because no message to these peers has room for their attributes. */
  get tooLong(): readonly number[] {
    const { hasAddPath } = this.spec;
    return [...this.#tooLong].map((entry) => (hasAddPath ? this.#rib.paths.prefix[entry]! : entry));
  }

  /** Entries that a member has been sent. */
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

  /** The Adj-RIB-Out of a new group; what is not decided yet comes with the flush at the end of the turn. */
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
    const told = path < 0 ? NOTHING : this.#exportSafely(entry, path);
    const source = path < 0 ? LOCAL : this.#rib.paths.source[path]!;
    const before = this.#sent[entry]!;
    if (told === before && (told < 0 || source === this.#source[entry])) return;
    if (told >= 0) this.#rib.attributes.retain(told);
    if (before >= 0) this.#rib.attributes.release(before);
    this.#count += Number(told >= 0) - Number(before >= 0);
    if (told >= 0 && before >= 0 && source !== this.#source[entry]) {
      // The new best path is the member's own: what it was told before is void.
      const entries = moved.get(source);
      if (entries) entries.push(entry);
      else moved.set(source, [entry]);
    }
    this.#sent[entry] = told;
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

  /** Attribute row to announce for a path, or NOTHING. */
  #export(entry: number, path: number): number {
    const { attributes, source } = this.#rib.paths;
    const received = attributes[path]!;
    if (received !== this.#judgedRow || source[path] !== this.#judgedSource) this.#judge(path);
    if (this.#isSurelySent) return received;
    if (this.#isRefused) return NOTHING;
    const row = this.#policy ? this.#policy.apply(path) : received;
    if (row === REFUSED || (row >= 0 && this.#packer.fits(entry, row, this.#rib.paths.source[path]!)))
      return row;
    // RFC 4271 section 9.2: what cannot be advertised is withdrawn, and RFC 8654 section 4 says the same.
    this.#tooLong.add(entry);
    return NOTHING;
  }

  /** What holds for every path with these attributes from this source. */
  #judge(path: number): void {
    const { attributes, source } = this.#rib.paths;
    this.#judgedRow = attributes[path]!;
    this.#judgedSource = source[path]!;
    this.#isRefused = this.#protocolRefusal(path) !== undefined;
    this.#isSurelySent = !this.#isRefused && !this.#policy && this.#packer.surelyFits(this.#judgedRow);
  }

  /** Rows mean something else from turn to turn. */
  #forgetJudgement(): void {
    this.#judgedRow = NOTHING;
  }

  /** Why a path that passes everything else is not announced. */
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
      if (spec.clusterId === 0) return 'routes of internal peers are not passed on to internal peers';
      if (!from.isClient && !spec.isClient)
        return 'neither the sender nor this peer is a route reflector client';
    }
    if (facts & AttributeFact.NO_ADVERTISE) return 'community NO_ADVERTISE';
    if (facts & AttributeFact.NO_EXPORT && !spec.isIbgp) return 'community NO_EXPORT';
    if (facts & AttributeFact.OTC && spec.refusesOtc) return 'OTC: only to customers (RFC 9234)';
    if (facts & AttributeFact.LLGR_STALE && !spec.hasLongLived)
      return 'long-lived stale, and the peer does not know what that is (RFC 9494)';
    return this.#nextHopRefusal(row, this.#rib.paths.source[path]!);
  }

  #nextHopRefusal(row: number, source: number): string | undefined {
    const { spec } = this;
    const octets = this.#encoder.nextHopLength(row, source);
    if (octets === 0) {
      const reason = `this speaker has no IPv${spec.family} address to be the next hop`;
      return source !== LOCAL && this.#encoder.isLinkLocal(row)
        ? `its next hop is link-local, and ${reason} (RFC 2545 section 3)`
        : reason;
    }
    if (spec.family === 4 && octets > 4 && !spec.hasExtendedNextHop)
      return 'its next hop is IPv6, and the peer cannot take that for IPv4 routes (RFC 8950)';
    return undefined;
  }

  #send(member: Member, batch: Batch): void {
    member.counted(batch.messages);
    batch.forEachPart(member.source, (bytes) => member.send(bytes));
  }

  /** Members that cannot keep up leave the flushes; they walk when they read again. */
  #setAsideCongested(): void {
    let isFirst = true;
    for (const member of this.#live) {
      if (member.queued < LIVE_LIMIT) continue;
      if (isFirst) this.#epoch++;
      isFirst = false;
      this.#live.delete(member);
      const base = this.#epoch - 1;
      this.#walks.add({
        members: new Set([member]),
        purpose: 'catch up',
        base,
        epoch: base,
        cursor: 0,
        isPaused: true,
      });
    }
  }

  #startWalk(member: Member, base: number, purpose: WalkPurpose): void {
    for (const walk of this.#walks) {
      // Not begun yet: the member goes along.
      if (walk.cursor > 0 || walk.base !== base || walk.purpose !== purpose || walk.isPaused) continue;
      if (base === 0 && this.#lastChange > walk.epoch) continue;
      walk.members.add(member);
      return;
    }
    const epoch = base > 0 ? base : this.#epoch++;
    this.#walks.add({ members: new Set([member]), purpose, base, epoch, cursor: 0, isPaused: false });
  }

  /** Takes the member out; returns the version up to which it is complete. */
  #remove(member: Member): number {
    if (this.#live.delete(member)) return this.#epoch;
    for (const walk of this.#walks) {
      if (!walk.members.delete(member)) continue;
      if (walk.members.size === 0) this.#walks.delete(walk);
      return walk.base;
    }
    return 0;
  }

  #stepWalk(walk: Walk): void {
    this.#splitCongested(walk);
    if (walk.isPaused) return;
    if (walk.cursor === 0) {
      if (walk.base > 0) walk.epoch = this.#epoch++;
      for (const member of walk.members) member.walkBegins(walk.purpose);
    }
    this.#ensureRows();
    const entries = this.#collect(walk);
    if (entries.length > 0) {
      const batch = this.#pack(entries);
      for (const member of walk.members) this.#send(member, batch);
      if (walk.base > 0) this.#withdrawOwn(walk, entries);
    }
    if (walk.cursor >= this.#sent.length) this.#complete(walk);
  }

  /** The next entries that the walk has to tell of. */
  #collect(walk: Walk): Int32Array {
    // What changed lately is few among many rows, and looking is cheap: a walk for it must not take many turns.
    const end = walk.base > 0 ? this.#sent.length : Math.min(this.#sent.length, walk.cursor + STEP_ROWS);
    const entries = new Int32Array(Math.min(STEP_ENTRIES, end - walk.cursor));
    let length = 0;
    let at = walk.cursor;
    for (; at < end && length < entries.length; at++) {
      if (walk.base === 0 ? this.#sent[at]! >= 0 : this.#version[at]! > walk.base) entries[length++] = at;
    }
    walk.cursor = at;
    return entries.subarray(0, length);
  }

  /** What became a member's own route while it was away: the earlier one, of somebody else, is void. */
  #withdrawOwn(walk: Walk, entries: Int32Array): void {
    for (const member of walk.members) {
      const own = [...entries].filter(
        (entry) => this.#sent[entry]! >= 0 && this.#source[entry] === member.source,
      );
      if (own.length > 0) this.#send(member, this.#packer.packWithdrawals(own));
    }
  }

  #splitCongested(walk: Walk): void {
    for (const member of walk.members) {
      if (member.queued < (walk.members.size > 1 ? WALK_LIMIT : LONE_WALK_LIMIT)) continue;
      if (walk.members.size === 1) {
        walk.isPaused = true;
        return;
      }
      walk.members.delete(member);
      this.#walks.add({ ...walk, members: new Set([member]), isPaused: true });
    }
  }

  #complete(walk: Walk): void {
    this.#walks.delete(walk);
    for (const member of walk.members) member.walkEnds(walk.purpose);
    // Told in the meantime to the live members alone: once more, for the difference.
    const hasMissed = this.#lastChange > walk.epoch;
    for (const member of walk.members) {
      if (hasMissed) this.#startWalk(member, walk.epoch, 'catch up');
      else if (this.#refreshDue.delete(member)) this.#startWalk(member, 0, 'refresh');
      else this.#live.add(member);
    }
  }
}

/** Words for an UPDATE that is longer than the peer takes. */
function tooLongReason(octets: number, limit: number): string {
  const remedy =
    limit === MAX_MESSAGE_LENGTH ? '; a peer with extended messages (RFC 8654) takes 65,535' : '';
  return `its attributes are too long: the UPDATE would have ${octets} octets, the peer takes ${limit} (RFC 4271 section 9.2)${remedy}`;
}
