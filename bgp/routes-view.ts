/** The RIBs as values, for people: what was received, what became of it, to whom it is told. */
import type { Family } from '../lib/cidr.ts';
import type { Peer } from './peer.ts';
import { attributesOf } from './rib/attribute-values.ts';
import { PathFlag } from './rib/path-table.ts';
import type { Rib } from './rib/rib.ts';
import { LOCAL } from './rib/source.ts';
import type { PathAttributes } from './wire/attributes.ts';
import type { Prefix } from './wire/nlri.ts';

export interface PathView {
  /** Address of the peer; undefined for a route that is originated here. */
  readonly from: string | undefined;
  readonly pathId: number;
  readonly attributes: PathAttributes;
  readonly isUsable: boolean;
  readonly isBest: boolean;
  readonly isStale: boolean;
  /** `best`, or what the path lost by, or what refused it. */
  readonly reason: string;
}

export interface RouteView {
  readonly prefix: Prefix;
  readonly paths: readonly PathView[];
}

/** A route with the paths to it, the best one first; undefined when there is none. */
export function viewRoute(rib: Rib, prefix: number): RouteView {
  const paths = [...rib.pathsTo(prefix)].map((path) => viewPath(rib, prefix, path));
  return {
    prefix: rib.prefixes.text(prefix),
    paths: paths.sort((a, b) => Number(b.isBest) - Number(a.isBest)),
  };
}

/** Every route of a family. */
export function* viewRoutes(rib: Rib): Generator<RouteView> {
  for (let prefix = 0; prefix < rib.prefixes.rows; prefix++)
    if (rib.head[prefix]! >= 0) yield viewRoute(rib, prefix);
}

/** What a peer has sent. */
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

/** What a peer has been told. */
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

/** Why the best path to a prefix is not told to a peer; undefined when it is. */
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
