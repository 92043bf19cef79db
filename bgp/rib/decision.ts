/**
 * The decision process (RFC 4271 section 9.1.2.2), as a numbered list of comparisons. A losing path is told
 * at which of them it lost.
 *
 *   1 usable   2 originated here   3 LOCAL_PREF   4 AS_PATH length   5 ORIGIN   6 MED (same neighbour AS)
 *   7 eBGP over iBGP   -- equal so far: multipath --
 *   8 originator or router ID   9 CLUSTER_LIST length (RFC 4456)   10 peer address
 *
 * MED compares only paths of the same neighbouring AS, which makes "better than" no order over all paths:
 * so the best of each neighbouring AS is found first, and those are compared without MED.
 */
import { parseAddress } from '../../lib/cidr.ts';
import { firstAs, pathLength } from '../wire/as-path.ts';
import type { Path } from './path.ts';

/** LOCAL_PREF of a path that carries none. */
export const DEFAULT_LOCAL_PREF = 100;

export interface Decision {
  /** Undefined when no path is usable. */
  readonly best: Path | undefined;
  /** Best and its equals up to step 7, best first: what ECMP may use. */
  readonly multipath: readonly Path[];
  /** Why each other path lost. */
  readonly losers: ReadonlyMap<Path, string>;
}

type Comparison = { readonly reason: string; readonly compare: (a: Path, b: Path) => number };

/** Negative: the first is better. */
const upToMed: readonly Comparison[] = [
  {
    reason: 'originated here',
    compare: (a, b) => Number(b.source.peer === undefined) - Number(a.source.peer === undefined),
  },
  { reason: 'higher LOCAL_PREF', compare: (a, b) => localPref(b) - localPref(a) },
  {
    reason: 'shorter AS_PATH',
    compare: (a, b) => pathLength(a.attributes.asPath) - pathLength(b.attributes.asPath),
  },
  { reason: 'lower ORIGIN', compare: (a, b) => a.attributes.origin - b.attributes.origin },
];

const med: Comparison = {
  reason: 'lower MED',
  compare: (a, b) =>
    firstAs(a.attributes.asPath) === firstAs(b.attributes.asPath)
      ? (a.attributes.med ?? 0) - (b.attributes.med ?? 0)
      : 0,
};

const external: Comparison = {
  reason: 'eBGP over iBGP',
  compare: (a, b) => Number(a.source.isIbgp) - Number(b.source.isIbgp),
};

const tieBreakers: readonly Comparison[] = [
  { reason: 'lower router ID', compare: (a, b) => order(routerId(a), routerId(b)) },
  {
    reason: 'shorter CLUSTER_LIST',
    compare: (a, b) => (a.attributes.clusterList?.length ?? 0) - (b.attributes.clusterList?.length ?? 0),
  },
  { reason: 'lower peer address', compare: (a, b) => order(a.source.address, b.source.address) },
];

const withMed = [...upToMed, med, external, ...tieBreakers];
const withoutMed = [...upToMed, external, ...tieBreakers];
const equalCost = [...upToMed, med, external];

/** Chooses among all paths to a prefix. */
export function decide(paths: readonly Path[]): Decision {
  const losers = new Map<Path, string>();
  const groups = new Map<number, Path>();
  const usable: Path[] = [];
  for (const path of paths) {
    if (path.rejection !== undefined) {
      losers.set(path, path.rejection);
      continue;
    }
    usable.push(path);
    const neighbour = firstAs(path.attributes.asPath);
    const rival = groups.get(neighbour);
    groups.set(neighbour, rival ? duel(rival, path, withMed, losers) : path);
  }
  let best: Path | undefined;
  for (const path of groups.values()) best = best ? duel(best, path, withoutMed, losers) : path;
  if (!best) return { best: undefined, multipath: [], losers };
  const winner = best;
  const equals = usable.filter(
    (path) => path !== winner && equalCost.every(({ compare }) => compare(path, winner) === 0),
  );
  return { best, multipath: [winner, ...equals], losers };
}

function duel(a: Path, b: Path, comparisons: readonly Comparison[], losers: Map<Path, string>): Path {
  for (const { reason, compare } of comparisons) {
    const result = compare(a, b);
    if (result === 0) continue;
    const [winner, loser] = result < 0 ? [a, b] : [b, a];
    losers.set(loser, `${winner.source.address || 'the local route'} has the ${reason}`);
    return winner;
  }
  // Same peer address twice cannot be: a peer has one path per prefix.
  losers.set(b, 'equal');
  return a;
}

function localPref({ attributes }: Path): number {
  return attributes.localPref ?? DEFAULT_LOCAL_PREF;
}

function routerId({ attributes, source }: Path): string {
  return attributes.originatorId ?? source.identifier;
}

function order(a: string, b: string): number {
  const [x, y] = [parseAddress(a)?.value ?? 0n, parseAddress(b)?.value ?? 0n];
  return x < y ? -1 : x > y ? 1 : 0;
}
