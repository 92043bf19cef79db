/**
 * The attributes that a peer must decode from an advertised route, calculated from values and independent of the
 * speaker's encoder. A second implementation of RFC 4271 section 5.1, RFC 4360 section 6, RFC 4456 section 8, RFC 7947
 * section 2.2 and RFC 9234 section 5.
 */
import type { GroupSpec } from '../../bgp/group/spec.ts';
import type { Source } from '../../bgp/rib/source.ts';
import type { AsPath } from '../../bgp/wire/as-path.ts';
import type { PathAttributes } from '../../bgp/wire/attributes.ts';
import { encodeAttributes } from '../../bgp/wire/encode-attributes.ts';
import { AttributeType } from '../../bgp/wire/iana.ts';
import { Writer } from '../../bgp/wire/writer.ts';
import { familyOf, formatBytes } from '../../lib/cidr.ts';

/** Returns the attributes of a learned route, after policy, as a peer of the group sees them. */
export function expectedAttributes(
  attributes: PathAttributes,
  from: Source,
  spec: GroupSpec,
): PathAttributes {
  const { med, localPref, originatorId, clusterList, ...rest } = attributes;
  const isTransparent = isBetweenClients(from, spec);
  const isInside = spec.isIbgp || isTransparent;
  const isReflected = spec.isIbgp && from.isIbgp;
  const self = formatBytes(Uint8Array.from(Buffer.from(spec.selfNextHop, 'hex')));
  const isSelf =
    spec.nextHopMode === 'Self' ||
    (spec.nextHopMode === 'Auto' && !isInside) ||
    /^fe[89ab]/.test(attributes.nextHop);
  const originator = originatorId ?? (isReflected ? dotted(from.identifier) : undefined);
  const clusters = isReflected ? [dotted(spec.clusterId), ...(clusterList ?? [])] : clusterList;
  return {
    ...(isInside ? rest : withoutNonTransitive(rest)),
    nextHop: isSelf ? self : attributes.nextHop,
    asPath: isInside ? attributes.asPath : prepended(attributes.asPath, spec.localAs),
    ...(isInside && med !== undefined ? { med } : {}),
    ...(spec.isIbgp ? { localPref: localPref ?? spec.localPref } : {}),
    ...(spec.isIbgp && originator !== undefined ? { originatorId: originator } : {}),
    ...(spec.isIbgp && clusters !== undefined ? { clusterList: clusters } : {}),
    ...(spec.addsOtc && rest.onlyToCustomer === undefined ? { onlyToCustomer: spec.localAs } : {}),
  };
}

/** Attributes that are advertised to external peers as well. */
type Passed = Omit<PathAttributes, 'med' | 'localPref' | 'originatorId' | 'clusterList'>;

/** Whether a route goes from one client of a route server to another (RFC 7947). */
export function isBetweenClients(from: Source, spec: GroupSpec): boolean {
  return spec.isRouteServer && (from.isRouteServerClient ?? false);
}

/** Removes non-transitive extended communities (RFC 4360 section 6), by their hex text. */
function withoutNonTransitive(attributes: Passed): Passed {
  const { extendedCommunities, partial, ...rest } = attributes;
  const kept = extendedCommunities?.filter((hex) => !'4567cdef'.includes(hex[0]!)) ?? [];
  const isGone = extendedCommunities !== undefined && kept.length === 0;
  const left = partial?.filter((type) => !isGone || type !== AttributeType.EXTENDED_COMMUNITIES) ?? [];
  return {
    ...rest,
    ...(kept.length > 0 ? { extendedCommunities: kept } : {}),
    ...(left.length > 0 ? { partial: left } : {}),
  };
}

/** Returns the octets of an UPDATE that advertises one route, whose prefix takes `entry` octets. */
export function measured(attributes: PathAttributes, spec: GroupSpec, entry: number): number {
  const hasNextHop = spec.family === 4 && familyOf(attributes.nextHop) === 4;
  const { isFourOctetAs, isIbgp } = spec;
  const length = encodeAttributes(attributes, new Writer(), { isFourOctetAs, isIbgp, hasNextHop });
  const reach = hasNextHop ? 0 : 9 + (familyOf(attributes.nextHop) === 4 ? 4 : 16);
  return 19 + 4 + length + reach + entry;
}

/** Returns attributes as text that is equal exactly if they mean the same. */
export function canonical({ asPath, ...rest }: PathAttributes): string {
  const known = Object.entries(rest).filter(([, value]) => value !== undefined);
  const order = known
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => [
      key,
      key === 'unknown' || key === 'partial' ? sorted(value as readonly unknown[]) : value,
    ]);
  return JSON.stringify([joined(asPath), order]);
}

function sorted(values: readonly unknown[]): string[] {
  return values.map((value) => JSON.stringify(value)).sort();
}

/** Joins adjacent AS_SEQUENCEs, because AS4_PATH may divide them differently (RFC 6793 section 4.2.3). */
function joined(path: AsPath): [number, number[]][] {
  const segments: [number, number[]][] = [];
  for (const { type, asNumbers } of path) {
    const last = segments.at(-1);
    if (last && last[0] === 2 && type === 2) last[1].push(...asNumbers);
    else segments.push([type, [...asNumbers]]);
  }
  return segments;
}

function prepended(path: AsPath, localAs: number): AsPath {
  const [first, ...rest] = path;
  if (first?.type === 2 && first.asNumbers.length < 255)
    return [{ type: 2, asNumbers: [localAs, ...first.asNumbers] }, ...rest];
  return [{ type: 2, asNumbers: [localAs] }, ...path];
}

function dotted(value: number): string {
  return formatBytes(Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value));
}
