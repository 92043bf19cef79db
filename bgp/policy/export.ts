/** What a peer is told about a route, if anything (RFC 4271 sections 5.1 and 9.2). */
import { type Cidr, contains, mustCidr } from '../../lib/cidr.ts';
import { DEFAULT_LOCAL_PREF } from '../rib/decision.ts';
import type { Path } from '../rib/path.ts';
import { prependAs } from '../wire/as-path.ts';
import type { PathAttributes } from '../wire/attributes.ts';
import { AttributeFlag } from '../wire/iana.ts';
import { familyOfPrefix, type Prefix } from '../wire/nlri.ts';

export interface ExportContext {
  readonly peer: string;
  readonly localAs: number;
  readonly isIbgp: boolean;
  readonly families: readonly (4 | 6)[];
  /** Our address on the session, per family: the next hop that we set. */
  readonly nextHopSelf: Readonly<Partial<Record<4 | 6, string>>>;
  /** Learned routes are passed on only inside these (Calico B-110, B-111); own ones always. */
  readonly transit: readonly Cidr[];
}

/** Attributes for the peer; undefined when it is to be told nothing. */
export function exportAttributes(
  prefix: Prefix,
  best: Path,
  context: ExportContext,
): PathAttributes | undefined {
  const family = familyOfPrefix(prefix);
  const self = context.nextHopSelf[family];
  if (!context.families.includes(family) || best.source.peer === context.peer) return undefined;
  const isLocal = best.source.peer === undefined;
  if (!isLocal) {
    // RFC 4271 section 9.2: no iBGP route to an iBGP peer. Reflection changes this rule, in one place: here.
    if (best.source.isIbgp && context.isIbgp) return undefined;
    const cidr = mustCidr(prefix);
    if (!context.transit.some((range) => contains(range, cidr))) return undefined;
  }
  const { attributes } = best;
  if (context.isIbgp) {
    const nextHop = isLocal ? self : attributes.nextHop;
    return nextHop === undefined
      ? undefined
      : { ...attributes, nextHop, localPref: attributes.localPref ?? DEFAULT_LOCAL_PREF };
  }
  if (self === undefined) return undefined;
  return {
    origin: attributes.origin,
    asPath: prependAs(attributes.asPath, context.localAs),
    nextHop: self,
    ...(isLocal && attributes.med !== undefined ? { med: attributes.med } : {}),
    atomicAggregate: attributes.atomicAggregate,
    aggregator: attributes.aggregator,
    communities: attributes.communities,
    extendedCommunities: attributes.extendedCommunities,
    largeCommunities: attributes.largeCommunities,
    unknown: attributes.unknown?.filter(({ flags }) => flags & AttributeFlag.TRANSITIVE),
  };
}
