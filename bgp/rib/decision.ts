/**
 * The decision process (RFC 4271 section 9.1.2.2) as a numbered list of comparisons over columns, so that status can name
 * the comparison that a path lost.
 *
 * MED compares only paths of the same neighbouring AS, so "better than" is not an order over all paths. This finds the best
 * path of each neighbouring AS first, and compares those without MED.
 */
import { AttributeFact } from '../wire/scan.ts';
import type { AttributeTable } from './attribute-table.ts';
import type { PathTable } from './path-table.ts';
import { LOCAL, type SourceTable } from './source.ts';

/** LOCAL_PREF of a path without one. */
export const DEFAULT_LOCAL_PREF = 100;

/** Steps in order. Paths that are equal up to ROUTER_ID are multipath. */
export const DecisionStep = {
  ORIGINATED_HERE: 1,
  NOT_LONG_LIVED_STALE: 2,
  LOCAL_PREF: 3,
  AS_PATH: 4,
  ORIGIN: 5,
  MED: 6,
  EXTERNAL: 7,
  ROUTER_ID: 8,
  CLUSTER_LIST: 9,
  PEER_ADDRESS: 10,
  PATH_ID: 11,
} as const;

const reasons: Readonly<Record<number, string>> = {
  [DecisionStep.ORIGINATED_HERE]: 'is originated here',
  [DecisionStep.NOT_LONG_LIVED_STALE]: 'is not long-lived stale',
  [DecisionStep.LOCAL_PREF]: 'has the higher LOCAL_PREF',
  [DecisionStep.AS_PATH]: 'has the shorter AS_PATH',
  [DecisionStep.ORIGIN]: 'has the lower ORIGIN',
  [DecisionStep.MED]: 'has the lower MED',
  [DecisionStep.EXTERNAL]: 'is eBGP, not iBGP',
  [DecisionStep.ROUTER_ID]: 'has the lower router ID',
  [DecisionStep.CLUSTER_LIST]: 'has the shorter CLUSTER_LIST',
  [DecisionStep.PEER_ADDRESS]: 'has the lower peer address',
  [DecisionStep.PATH_ID]: 'has the lower path identifier',
};

/** Describes a step: what the winner has over the loser. */
export function reasonOf(step: number): string {
  return reasons[Math.abs(step)] ?? 'is equal';
}

export class DecisionProcess {
  readonly #paths: PathTable;
  readonly #attributes: AttributeTable;
  readonly #sources: SourceTable;
  /** Best path per neighbouring AS for the current prefix. */
  readonly #groups = new Map<number, number>();

  constructor(paths: PathTable, attributes: AttributeTable, sources: SourceTable) {
    this.#paths = paths;
    this.#attributes = attributes;
    this.#sources = sources;
  }

  /** The best usable path of a list that starts with row `head`; -1 when there is none. */
  select(head: number): number {
    const paths = this.#paths;
    let best = -1;
    let hasMed = false;
    for (let path = head; path >= 0; path = paths.next[path]!) {
      if (paths.rejection[path] !== 0) continue;
      if (this.#attributes.flags[paths.attributes[path]!]! & AttributeFact.MED) hasMed = true;
      if (best < 0 || this.compare(path, best, false) < 0) best = path;
    }
    return hasMed ? this.#selectByNeighbour(head) : best;
  }

  /**
   * Negative when path `a` is better, positive when `b` is, with the DecisionStep as magnitude; 0 for equals.
   * MED counts only when `withMed` is set and both come from the same neighbouring AS.
   */
  compare(a: number, b: number, withMed: boolean): number {
    const paths = this.#paths;
    const attributes = this.#attributes;
    const sourceA = paths.source[a]!;
    const sourceB = paths.source[b]!;
    if ((sourceA === LOCAL) !== (sourceB === LOCAL)) return better(sourceA === LOCAL, 1);
    const rowA = paths.attributes[a]!;
    const rowB = paths.attributes[b]!;
    const fromA = this.#sources.at(sourceA);
    const fromB = this.#sources.at(sourceB);
    if (rowA !== rowB) {
      const step = this.#compareAttributes(rowA, rowB, withMed);
      if (step !== 0) return step;
    }
    if (fromA.isIbgp !== fromB.isIbgp) return better(!fromA.isIbgp, DecisionStep.EXTERNAL);
    const idA = attributes.originatorId[rowA]! || fromA.identifier;
    const idB = attributes.originatorId[rowB]! || fromB.identifier;
    if (idA !== idB) return better(idA < idB, DecisionStep.ROUTER_ID);
    const clustersA = attributes.clusterCount[rowA]!;
    const clustersB = attributes.clusterCount[rowB]!;
    if (clustersA !== clustersB) return better(clustersA < clustersB, DecisionStep.CLUSTER_LIST);
    if (fromA.addressValue !== fromB.addressValue)
      return better(fromA.addressValue < fromB.addressValue, DecisionStep.PEER_ADDRESS);
    const pathIdA = paths.pathId[a]!;
    const pathIdB = paths.pathId[b]!;
    return pathIdA === pathIdB ? 0 : better(pathIdA < pathIdB, DecisionStep.PATH_ID);
  }

  /** Whether a usable path may share traffic with the best one: equal up to the tie-breakers. */
  isMultipath(path: number, best: number): boolean {
    const step = this.compare(path, best, true);
    return step === 0 || Math.abs(step) >= DecisionStep.ROUTER_ID;
  }

  #compareAttributes(a: number, b: number, withMed: boolean): number {
    const { flags, localPref, pathLength, origin, med, neighbourAs } = this.#attributes;
    const staleA = flags[a]! & AttributeFact.LLGR_STALE;
    const staleB = flags[b]! & AttributeFact.LLGR_STALE;
    if (staleA !== staleB) return better(staleA === 0, DecisionStep.NOT_LONG_LIVED_STALE);
    const prefA = flags[a]! & AttributeFact.LOCAL_PREF ? localPref[a]! : DEFAULT_LOCAL_PREF;
    const prefB = flags[b]! & AttributeFact.LOCAL_PREF ? localPref[b]! : DEFAULT_LOCAL_PREF;
    if (prefA !== prefB) return better(prefA > prefB, DecisionStep.LOCAL_PREF);
    if (pathLength[a] !== pathLength[b]) return better(pathLength[a]! < pathLength[b]!, DecisionStep.AS_PATH);
    if (origin[a] !== origin[b]) return better(origin[a]! < origin[b]!, DecisionStep.ORIGIN);
    if (withMed && neighbourAs[a] === neighbourAs[b] && med[a] !== med[b])
      return better(med[a]! < med[b]!, DecisionStep.MED);
    return 0;
  }

  #selectByNeighbour(head: number): number {
    const paths = this.#paths;
    const groups = this.#groups;
    groups.clear();
    for (let path = head; path >= 0; path = paths.next[path]!) {
      if (paths.rejection[path] !== 0) continue;
      const neighbour = this.#attributes.neighbourAs[paths.attributes[path]!]!;
      const leader = groups.get(neighbour);
      if (leader === undefined || this.compare(path, leader, true) < 0) groups.set(neighbour, path);
    }
    let best = -1;
    for (const path of groups.values()) if (best < 0 || this.compare(path, best, false) < 0) best = path;
    return best;
  }
}

function better(isA: boolean, step: number): number {
  return isA ? -step : step;
}
