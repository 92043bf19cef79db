/**
 * The Adj-RIB-In of every peer and the Loc-RIB of one address family (RFC 4271 section 3.2), as columns. A change marks
 * the prefix, and `decideChanged` runs the decision process once per marked prefix at the end of a turn.
 */
import type { Family } from '../../lib/cidr.ts';
import type { Rejection } from '../policy/rejection.ts';
import type { AttributeTable } from './attribute-table.ts';
import { grow, grownCapacity, RowStack } from './columns.ts';
import { DecisionProcess, reasonOf } from './decision.ts';
import { PathFlag, PathTable, RejectionTable } from './path-table.ts';
import { PrefixTable } from './prefix-table.ts';
import { LOCAL, type SourceTable } from './source.ts';

/** Verdict of import policy on a path. `attributes` may be the received set. */
export interface Verdict {
  /** Row of the attribute table: the received one, or another whose reference passes to the RIB. */
  readonly attributes: number;
  /** Why the path is not used; undefined when it may be used. */
  readonly rejection: Rejection | undefined;
}

export class Rib {
  readonly family: Family;
  readonly prefixes: PrefixTable;
  readonly paths = new PathTable();
  readonly attributes: AttributeTable;
  readonly sources: SourceTable;
  readonly rejections = new RejectionTable();
  readonly decision: DecisionProcess;
  /** First path of a prefix; -1 for none. */
  head = new Int32Array(0);
  /** Best path as of the last decideChanged; -1 for none. */
  best = new Int32Array(0);
  #isDirty = new Uint8Array(0);
  readonly #dirty = new RowStack();
  readonly #touched = new RowStack();
  readonly #dead = new RowStack();
  /** Prefixes without paths whose rows cannot be freed yet. */
  readonly #empty = new RowStack();
  #counts = new Int32Array(64);
  /** Whether to collect changed paths in addition to changed prefixes, for groups with add-path. */
  tracksPaths = false;

  constructor(family: Family, attributes: AttributeTable, sources: SourceTable) {
    this.family = family;
    this.prefixes = new PrefixTable(family);
    this.attributes = attributes;
    this.sources = sources;
    this.decision = new DecisionProcess(this.paths, attributes, sources);
  }

  /** Number of paths of a source, including rejected ones. */
  countOf(source: number): number {
    return this.#counts[source] ?? 0;
  }

  get hasChanges(): boolean {
    return this.#dirty.length > 0;
  }

  /** Stores the path to the prefix whose wire form starts at `at`. Returns true when it is new for the source. */
  announce(
    bytes: Uint8Array,
    at: number,
    source: number,
    pathId: number,
    received: number,
    attributes: number,
    rejection: number,
  ): boolean {
    const prefix = this.prefixes.intern(bytes, at);
    if (prefix >= this.head.length) this.#growPrefixes(prefix + 1);
    const { paths } = this;
    let path = this.#findPath(prefix, source, pathId);
    const isNew = path < 0;
    if (isNew) {
      path = paths.add();
      paths.prefix[path] = prefix;
      paths.source[path] = source;
      paths.pathId[path] = pathId;
      paths.next[path] = this.head[prefix]!;
      paths.flags[path] = 0;
      this.head[prefix] = path;
      this.#count(source, 1);
    } else {
      paths.flags[path]! &= ~PathFlag.STALE;
      if (
        paths.received[path] === received &&
        paths.attributes[path] === attributes &&
        paths.rejection[path] === rejection
      )
        return false;
      this.attributes.release(paths.received[path]!);
      this.attributes.release(paths.attributes[path]!);
    }
    this.attributes.retain(received);
    this.attributes.retain(attributes);
    paths.received[path] = received;
    paths.attributes[path] = attributes;
    paths.rejection[path] = rejection;
    this.#touch(path, prefix);
    return isNew;
  }

  /** Removes the path to the prefix whose wire form starts at `at`. Returns false when there was none. */
  withdraw(bytes: Uint8Array, at: number, source: number, pathId: number): boolean {
    const prefix = this.prefixes.find(bytes, at);
    if (prefix < 0) return false;
    const path = this.#findPath(prefix, source, pathId);
    if (path < 0) return false;
    this.remove(path);
    return true;
  }

  /** Whether the source has a path to the prefix whose wire form starts at `at`. */
  has(bytes: Uint8Array, at: number, source: number, pathId: number): boolean {
    const prefix = this.prefixes.find(bytes, at);
    return prefix >= 0 && this.#findPath(prefix, source, pathId) >= 0;
  }

  /** Marks the paths of a source as stale, because it may be restarting or will send everything again. */
  markStale(source: number): void {
    for (const path of this.pathsOf(source)) this.paths.flags[path]! |= PathFlag.STALE;
  }

  /** Removes the paths of a source that are still stale, or all of them. */
  drop(source: number, which: 'all' | 'stale'): void {
    for (const path of this.pathsOf(source))
      if (which === 'all' || this.paths.flags[path]! & PathFlag.STALE) this.remove(path);
  }

  /** Applies a changed import policy to the paths of a source. */
  rejudge(source: number, judge: (path: number) => Verdict): void {
    for (const path of this.pathsOf(source)) {
      const verdict = judge(path);
      const rejection = verdict.rejection === undefined ? 0 : this.rejections.intern(verdict.rejection);
      this.#setVerdict(path, verdict.attributes, rejection);
      if (verdict.attributes !== this.paths.received[path]) this.attributes.release(verdict.attributes);
    }
  }

  /** Sets other attributes of a path, for example with a community. The RIB takes its own reference to the row. */
  setAttributes(path: number, attributes: number): void {
    this.#setVerdict(path, attributes, this.paths.rejection[path]!);
  }

  #setVerdict(path: number, attributes: number, rejection: number): void {
    const { paths } = this;
    if (paths.attributes[path] === attributes && paths.rejection[path] === rejection) return;
    this.attributes.retain(attributes);
    this.attributes.release(paths.attributes[path]!);
    paths.attributes[path] = attributes;
    paths.rejection[path] = rejection;
    this.#touch(path, paths.prefix[path]!);
  }

  /** Runs the decision process again for the prefixes of a source whose properties changed. */
  touchAll(source: number): void {
    for (const path of this.pathsOf(source)) this.#touch(path, this.paths.prefix[path]!);
  }

  /** Rows of a source's paths. They may be removed during the iteration. */
  *pathsOf(source: number): Generator<number> {
    let left = this.countOf(source);
    for (let path = 0; left > 0 && path < this.paths.rows; path++) {
      if (this.paths.source[path] !== source || this.paths.flags[path]! & PathFlag.DEAD) continue;
      left--;
      yield path;
    }
  }

  /** Whether the prefix waits for the decision process. Until then `best` is the old path, which may be removed. */
  isPending(prefix: number): boolean {
    return this.#isDirty[prefix] === 1;
  }

  /** Whether a row is a usable path. */
  isUsable(path: number): boolean {
    return this.paths.rejection[path] === 0 && (this.paths.flags[path]! & PathFlag.DEAD) === 0;
  }

  /** Rows of the paths to a prefix. */
  *pathsTo(prefix: number): Generator<number> {
    for (let path = this.head[prefix] ?? -1; path >= 0; path = this.paths.next[path]!) yield path;
  }

  /**
   * Runs the decision process for every prefix touched since the last call. The returned rows and those of `touchedPaths`
   * are valid until `endTurn`.
   */
  decideChanged(): Int32Array {
    const changed = this.#dirty.rows();
    for (const prefix of changed) {
      this.#isDirty[prefix] = 0;
      const head = this.head[prefix]!;
      this.best[prefix] =
        head >= 0 && this.paths.next[head]! < 0
          ? this.paths.rejection[head] === 0
            ? head
            : -1
          : this.decision.select(head);
    }
    return changed;
  }

  touchedPaths(): Int32Array {
    return this.#touched.rows();
  }

  /** Clears the changes. With `canRelease` it frees rows without references. */
  endTurn(canRelease: boolean): void {
    for (const prefix of this.#dirty.rows()) if (this.head[prefix]! < 0) this.#empty.push(prefix);
    this.#dirty.clear();
    for (const path of this.#touched.rows()) this.paths.flags[path]! &= ~PathFlag.TOUCHED;
    this.#touched.clear();
    if (!canRelease) return;
    for (const path of this.#dead.rows()) this.paths.release(path);
    this.#dead.clear();
    for (const prefix of this.#empty.rows()) {
      // The prefix may have a path again, or be listed twice.
      if (this.head[prefix]! >= 0 || this.best[prefix] === RELEASED) continue;
      this.best[prefix] = RELEASED;
      this.prefixes.release(prefix);
    }
    this.#empty.clear();
  }

  /** Why each other path is not the best, as text. */
  explain(prefix: number, path: number): string {
    const { paths, decision } = this;
    if (paths.rejection[path] !== 0) return this.rejections.text(paths.rejection[path]!);
    const best = this.best[prefix]!;
    if (best < 0) return 'not decided yet';
    if (path === best) return 'best';
    const neighbour = (row: number) => this.attributes.neighbourAs[paths.attributes[row]!];
    const comparable = [...this.pathsTo(prefix)].filter(
      (row) => paths.rejection[row] === 0 && neighbour(row) === neighbour(path),
    );
    // A path can lose within its neighbouring AS, possibly by MED.
    const winner =
      comparable.find((row) => comparable.every((other) => decision.compare(row, other, true) <= 0)) ?? best;
    const opponent = winner === path ? best : winner;
    const step = decision.compare(path, opponent, winner !== path);
    const name =
      paths.source[opponent] === LOCAL ? 'the local route' : this.sources.at(paths.source[opponent]!).address;
    const reason = `${name} ${reasonOf(step)}`;
    return decision.isMultipath(path, best) ? `multipath (${reason})` : reason;
  }

  #findPath(prefix: number, source: number, pathId: number): number {
    const { paths } = this;
    for (let path = this.head[prefix]!; path >= 0; path = paths.next[path]!)
      if (paths.source[path] === source && paths.pathId[path] === pathId) return path;
    return -1;
  }

  /** Removes a path by its row. */
  remove(path: number): void {
    const { paths } = this;
    const prefix = paths.prefix[path]!;
    let at = this.head[prefix]!;
    if (at === path) this.head[prefix] = paths.next[path]!;
    else {
      while (paths.next[at] !== path) at = paths.next[at]!;
      paths.next[at] = paths.next[path]!;
    }
    this.attributes.release(paths.received[path]!);
    this.attributes.release(paths.attributes[path]!);
    this.#count(paths.source[path]!, -1);
    this.#touch(path, prefix);
    paths.flags[path]! |= PathFlag.DEAD;
    this.#dead.push(path);
  }

  #touch(path: number, prefix: number): void {
    if (this.#isDirty[prefix] === 0) {
      this.#isDirty[prefix] = 1;
      this.#dirty.push(prefix);
    }
    if (!this.tracksPaths || this.paths.flags[path]! & PathFlag.TOUCHED) return;
    this.paths.flags[path]! |= PathFlag.TOUCHED;
    this.#touched.push(path);
  }

  #count(source: number, change: number): void {
    if (source >= this.#counts.length)
      this.#counts = grow(this.#counts, grownCapacity(this.#counts.length, source + 1));
    this.#counts[source]! += change;
  }

  #growPrefixes(needed: number): void {
    const capacity = grownCapacity(this.head.length, needed);
    this.head = grow(this.head, capacity, -1);
    this.best = grow(this.best, capacity, -1);
    this.#isDirty = grow(this.#isDirty, capacity);
  }
}

/** Value of `best` for a freed row. */
const RELEASED = -2;
