/**
 * What a peer must read when it is told a route, worked out over values: RFC 4271 section 5.1, RFC 4360 section 6, RFC 4456
 * section 8, RFC 7947 section 2.2 and RFC 9234 section 5 once more, by other means than the speaker's encoder.
 */
import type { GroupSpec } from '../../bgp/group/spec.ts';
import type { Source } from '../../bgp/rib/source.ts';
import type { AsPath } from '../../bgp/wire/as-path.ts';
import type { PathAttributes } from '../../bgp/wire/attributes.ts';
import { encodeAttributes } from '../../bgp/wire/encode-attributes.ts';
import { AttributeType } from '../../bgp/wire/iana.ts';
import { Writer } from '../../bgp/wire/writer.ts';
import { familyOf, formatBytes } from '../../lib/cidr.ts';

/** The attributes of a learned route after policy, as a peer of the group sees them. */
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

/** What goes to external peers as well. */
type Passed = Omit<PathAttributes, 'med' | 'localPref' | 'originatorId' | 'clusterList'>;

/** RFC 7947: from one client of a route server to another. */
export function isBetweenClients(from: Source, spec: GroupSpec): boolean {
  return spec.isRouteServer && (from.isRouteServerClient ?? false);
}

/** RFC 4360 section 6, by the text of the communities. */
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

/** Octets of an UPDATE that tells one route, whose prefix takes `entry` octets. */
export function measured(attributes: PathAttributes, spec: GroupSpec, entry: number): number {
  const hasNextHop = spec.family === 4 && familyOf(attributes.nextHop) === 4;
  const { isFourOctetAs, isIbgp } = spec;
  const length = encodeAttributes(attributes, new Writer(), { isFourOctetAs, isIbgp, hasNextHop });
  const reach = hasNextHop ? 0 : 9 + (familyOf(attributes.nextHop) === 4 ? 4 : 16);
  return 19 + 4 + length + reach + entry;
}

/** Text of attributes in which only what means the same is the same. */
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

/** Neighbouring AS_SEQUENCEs as one: AS4_PATH may divide them otherwise (RFC 6793 section 4.2.3). */
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
