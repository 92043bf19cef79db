/**
 * The Adj-RIB-Out of an update group (RFC 4271 section 3.2), in columns. An entry is a prefix row, or a path row with
 * ADD-PATH. It holds the attributes that are advertised and the version of its last change.
 */
import { messageOf } from '../../lib/errors.ts';
import { grow, RowStack } from '../rib/columns.ts';
import type { Rib } from '../rib/rib.ts';
import { LOCAL } from '../rib/source.ts';
import { AttributeEncoder } from './attribute-encoder.ts';
import type { Batch } from './batch.ts';
import { Packer } from './packer.ts';
import { PolicyCache, REFUSED } from './policy-cache.ts';
import { protocolRefusal, tooLongReason } from './refusal.ts';
import type { GroupSpec } from './spec.ts';

const NOTHING = -1;

export class AdjRibOut {
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
  /** What is advertised, by entry: attribute row (with a reference) or NOTHING, and the source. */
  #sent = new Int32Array(0);
  #source = new Uint16Array(0);
  #version = new Uint32Array(0);
  /** Version of changes made now. The next one starts when a sync begins or a member stops being live. */
  epoch = 1;
  /** Version of the last change. */
  lastChange = 0;
  #count = 0;
  readonly #changed = new RowStack();
  // Consecutive routes often share their attributes, so keep the last verdict.
  #judgedRow = NOTHING;
  #judgedSource = LOCAL;
  #isRefused = false;
  #isSurelySent = false;

  /** `fault` is called when a route cannot be encoded or its export policy throws. That route is withdrawn. */
  constructor(spec: GroupSpec, rib: Rib, fault: (error: unknown) => void) {
    this.spec = spec;
    this.#rib = rib;
    this.#fault = fault;
    this.#policy = spec.policy && new PolicyCache(spec.policy, rib);
    this.#encoder = new AttributeEncoder(spec, rib.attributes, rib.sources);
    this.#packer = new Packer(spec, rib, this.#encoder);
    this.ensureRows();
    this.#fill();
  }

  /** Number of advertised entries, including those learned from members. */
  get count(): number {
    return this.#count;
  }

  /** Number of entries, advertised or not. */
  get length(): number {
    return this.#sent.length;
  }

  /** Number of advertised entries that were learned from this source. */
  countFrom(source: number): number {
    if (this.#rib.countOf(source) === 0) return 0;
    let own = 0;
    for (let entry = 0; entry < this.#sent.length; entry++)
      if (this.#sent[entry]! >= 0 && this.#source[entry] === source) own++;
    return own;
  }

  /** Whether the entry is advertised to the peer with this source row. */
  isAdvertisedTo(source: number, entry: number): boolean {
    return this.#sent[entry]! >= 0 && this.#source[entry] !== source;
  }

  /** Whether the entry is advertised, and was learned from this source. */
  isOwn(source: number, entry: number): boolean {
    return this.#sent[entry]! >= 0 && this.#source[entry] === source;
  }

  versionOf(entry: number): number {
    return this.#version[entry]!;
  }

  /**
   * Brings the entries up to date. Returns those that changed, until the next call. `moved` gets those whose new best
   * path is a member's own, by its source: the earlier path must be withdrawn from it.
   */
  update(entries: Int32Array, moved: Map<number, number[]>): Int32Array {
    this.ensureRows();
    this.#forgetJudgement();
    this.#changed.clear();
    for (const entry of entries) this.#update(entry, moved);
    if (this.#changed.length > 0) this.lastChange = this.epoch;
    return this.#changed.rows();
  }

  /** Finds entries to send from `from` on: with a version above `base`, or all announced ones when it is 0. */
  collect(base: number, from: number, end: number, limit: number): { entries: Int32Array; next: number } {
    const entries = new Int32Array(Math.min(limit, end - from));
    let length = 0;
    let at = from;
    for (; at < end && length < entries.length; at++) {
      if (base === 0 ? this.#sent[at]! >= 0 : this.#version[at]! > base) entries[length++] = at;
    }
    return { entries: entries.subarray(0, length), next: at };
  }

  /** Encodes the present state of these entries. Entries that cannot be encoded are withdrawn. */
  pack(entries: Int32Array): Batch {
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

  /** Encodes withdrawals of these entries. */
  packWithdrawals(entries: readonly number[]): Batch {
    return this.#packer.packWithdrawals(entries);
  }

  /** Releases every reference. It must not be used afterwards. */
  dispose(): void {
    for (const row of this.#sent) if (row >= 0) this.#rib.attributes.release(row);
    this.#policy?.dispose();
    this.#sent = new Int32Array(0);
  }

  /** Routes to a prefix that are advertised to the peer with this source row: attribute rows with their source. */
  *advertised(to: number, prefix: number): Generator<{ attributes: number; source: number }> {
    const entries = this.spec.hasAddPath ? this.#rib.pathsTo(prefix) : [prefix];
    for (const entry of entries) {
      const attributes = this.#sent[entry] ?? NOTHING;
      const source = this.#source[entry]!;
      if (attributes >= 0 && source !== to) yield { attributes, source };
    }
  }

  /** Why the best path to a prefix is not advertised to the peer with this source row; undefined when it is. */
  refusal(to: number, prefix: number): string | undefined {
    const best = this.#rib.isPending(prefix) ? NOTHING : (this.#rib.best[prefix] ?? NOTHING);
    if (best < 0) return 'no usable path exists';
    if (this.#rib.paths.source[best] === to) return 'it was learned from this peer';
    const reason = protocolRefusal(this.spec, this.#rib, this.#encoder, best);
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

  #break(entry: number, error: unknown): void {
    if (this.#broken.size === 0) this.#fault(error);
    this.#broken.set(entry, messageOf(error));
  }

  /** Makes room for all present rows. */
  ensureRows(): void {
    const rows = this.spec.hasAddPath ? this.#rib.paths.prefix.length : this.#rib.head.length;
    if (rows <= this.#sent.length) return;
    this.#sent = grow(this.#sent, rows, NOTHING);
    this.#source = grow(this.#source, rows);
    this.#version = grow(this.#version, rows);
  }

  /** Fills the Adj-RIB-Out of a new group. Pending decisions follow with the flush at the end of the turn. */
  #fill(): void {
    this.#forgetJudgement();
    const noMoves = new Map<number, number[]>();
    const { hasAddPath } = this.spec;
    const rows = hasAddPath ? this.#rib.paths.rows : this.#rib.prefixes.rows;
    for (let entry = 0; entry < rows; entry++)
      if (hasAddPath || !this.#rib.isPending(entry)) this.#update(entry, noMoves);
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
    this.#version[entry] = this.epoch;
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
    this.#isRefused = protocolRefusal(this.spec, this.#rib, this.#encoder, path) !== undefined;
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
}
