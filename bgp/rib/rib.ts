/**
 * Adj-RIB-In of every peer and the Loc-RIB (RFC 4271 section 3.2). A change marks the prefix; `decideChanged`
 * runs the decision process once for each marked prefix and reports the results.
 */
import type { Family } from '../../lib/cidr.ts';
import type { PathAttributes } from '../wire/attributes.ts';
import { familyOfPrefix, type Prefix } from '../wire/nlri.ts';
import { type Decision, decide } from './decision.ts';
import { localSource, type Path } from './path.ts';

export interface RibChange {
  readonly prefix: Prefix;
  readonly decision: Decision;
}

const nothing: Decision = { best: undefined, multipath: [], losers: new Map() };

export class Rib {
  /** Per peer: one path per prefix. Bounded by what peers announce. */
  readonly #adjIn = new Map<string, Map<Prefix, Path>>();
  readonly #originated = new Map<Prefix, Path>();
  readonly #decisions = new Map<Prefix, Decision>();
  /** Which peers have a path to a prefix: `undefined` stands for this speaker. */
  readonly #holders = new Map<Prefix, Set<string | undefined>>();
  readonly #changed = new Set<Prefix>();

  /** Replaces the set of prefixes that this speaker originates. */
  originate(routes: ReadonlyMap<Prefix, PathAttributes>): void {
    for (const prefix of this.#originated.keys())
      if (!routes.has(prefix)) this.#set(this.#originated, undefined, prefix, undefined);
    for (const [prefix, attributes] of routes) {
      if (this.#originated.has(prefix)) continue;
      this.#set(this.#originated, undefined, prefix, {
        source: localSource,
        attributes,
        isStale: false,
        rejection: undefined,
      });
    }
  }

  /** Stores (or with undefined removes) what a peer announced. */
  receive(peer: string, prefix: Prefix, path: Path | undefined): void {
    let paths = this.#adjIn.get(peer);
    if (!paths) {
      paths = new Map();
      this.#adjIn.set(peer, paths);
    }
    this.#set(paths, peer, prefix, path);
  }

  /** Marks a peer's paths as stale: it may be restarting. They stay in use. */
  markStale(peer: string, families: readonly Family[]): void {
    const paths = this.#adjIn.get(peer) ?? new Map<Prefix, Path>();
    for (const [prefix, path] of paths) {
      if (families.includes(familyOfPrefix(prefix))) paths.set(prefix, { ...path, isStale: true });
      else this.#set(paths, peer, prefix, undefined);
    }
  }

  /** Drops the paths of a peer that are still stale (End-of-RIB), or all of them. */
  drop(peer: string, which: 'all' | 'stale', families: readonly Family[] = [4, 6]): void {
    const paths = this.#adjIn.get(peer);
    if (!paths) return;
    for (const [prefix, path] of paths) {
      if (families.includes(familyOfPrefix(prefix)) && (which === 'all' || path.isStale))
        this.#set(paths, peer, prefix, undefined);
    }
    if (paths.size === 0) this.#adjIn.delete(peer);
  }

  /** Number of prefixes that a peer announced. */
  receivedCount(peer: string): number {
    return this.#adjIn.get(peer)?.size ?? 0;
  }

  /** Decision for a prefix as of the last decideChanged. */
  lookup(prefix: Prefix): Decision {
    return this.#decisions.get(prefix) ?? nothing;
  }

  /** All prefixes with a best path. */
  *routes(): Generator<RibChange> {
    for (const [prefix, decision] of this.#decisions) yield { prefix, decision };
  }

  get size(): number {
    return this.#decisions.size;
  }

  /** Runs the decision process for every prefix that was touched since the last call. */
  decideChanged(): RibChange[] {
    const changes: RibChange[] = [];
    for (const prefix of this.#changed) {
      const paths: Path[] = [];
      for (const holder of this.#holders.get(prefix) ?? []) {
        const path =
          holder === undefined ? this.#originated.get(prefix) : this.#adjIn.get(holder)?.get(prefix);
        if (path) paths.push(path);
      }
      const decision = paths.length > 0 ? decide(paths) : nothing;
      if (decision.best) this.#decisions.set(prefix, decision);
      else this.#decisions.delete(prefix);
      changes.push({ prefix, decision });
    }
    this.#changed.clear();
    return changes;
  }

  #set(paths: Map<Prefix, Path>, holder: string | undefined, prefix: Prefix, path: Path | undefined): void {
    const holders = this.#holders.get(prefix) ?? new Set();
    if (path) {
      paths.set(prefix, path);
      holders.add(holder);
      this.#holders.set(prefix, holders);
    } else {
      if (!paths.delete(prefix)) return;
      holders.delete(holder);
      if (holders.size === 0) this.#holders.delete(prefix);
    }
    this.#changed.add(prefix);
  }
}
