/** The RIBs as values for status commands: received paths, the result for each, and advertised routes. */
import type { Family } from '../lib/cidr.ts';
import type { Peer } from './peer/peer.ts';
import { attributesOf } from './rib/attribute-values.ts';
import { PathFlag } from './rib/path-table.ts';
import type { Rib } from './rib/rib.ts';
import { LOCAL } from './rib/source.ts';
import type { PathAttributes } from './wire/attributes.ts';
import type { Prefix } from './wire/nlri.ts';

export interface PathView {
  /** Address of the peer; undefined for a locally originated route. */
  readonly from: string | undefined;
  readonly pathId: number;
  readonly attributes: PathAttributes;
  readonly isUsable: boolean;
  readonly isBest: boolean;
  readonly isStale: boolean;
  /** `best`, the comparison that the path lost, or why it was refused. */
  readonly reason: string;
}

export interface RouteView {
  readonly prefix: Prefix;
  readonly paths: readonly PathView[];
}

/** Returns a route with its paths, the best one first. */
export function viewRoute(rib: Rib, prefix: number): RouteView {
  const paths = [...rib.pathsTo(prefix)].map((path) => viewPath(rib, prefix, path));
  return {
    prefix: rib.prefixes.text(prefix),
    paths: paths.sort((a, b) => Number(b.isBest) - Number(a.isBest)),
  };
}

/** Yields all routes of a family. */
export function* viewRoutes(rib: Rib): Generator<RouteView> {
  for (let prefix = 0; prefix < rib.prefixes.rows; prefix++)
    if (rib.head[prefix]! >= 0) yield viewRoute(rib, prefix);
}

/** Yields the paths that were received from a peer. */
export function* viewReceived(rib: Rib, peer: Peer): Generator<{ prefix: Prefix } & PathView> {
  for (const path of rib.pathsOf(peer.source)) {
    const prefix = rib.paths.prefix[path]!;
    yield { prefix: rib.prefixes.text(prefix), ...viewPath(rib, prefix, path) };
  }
}

export interface AdvertisedView {
  readonly prefix: Prefix;
  readonly attributes: PathAttributes;
  readonly from: string | undefined;
}

/** Yields the routes that are advertised to a peer. */
export function* viewAdvertised(rib: Rib, peer: Peer, family: Family): Generator<AdvertisedView> {
  const member = peer.members.get(family);
  if (!member?.group) return;
  for (let prefix = 0; prefix < rib.prefixes.rows; prefix++) {
    if (rib.head[prefix]! < 0) continue;
    for (const { attributes, source } of member.group.advertised(member, prefix)) {
      yield {
        prefix: rib.prefixes.text(prefix),
        attributes: attributesOf(rib.attributes, attributes),
        from: source === LOCAL ? undefined : rib.sources.at(source).address,
      };
    }
  }
}

/** Why the best path to a prefix is not advertised to a peer; undefined when it is. */
export function whyNotAdvertised(peer: Peer, family: Family, prefix: number): string | undefined {
  const member = peer.members.get(family);
  return member?.group ? member.group.refusal(member, prefix) : 'the session is not established';
}

function viewPath(rib: Rib, prefix: number, path: number): PathView {
  const { paths } = rib;
  const source = paths.source[path]!;
  return {
    from: source === LOCAL ? undefined : rib.sources.at(source).address,
    pathId: paths.pathId[path]!,
    attributes: attributesOf(rib.attributes, paths.attributes[path]!),
    isUsable: rib.isUsable(path),
    isBest: rib.best[prefix] === path,
    isStale: (paths.flags[path]! & PathFlag.STALE) !== 0,
    reason: rib.explain(prefix, path),
  };
}
